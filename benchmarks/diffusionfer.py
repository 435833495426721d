"""The model for real faces in the package, on faces that it has not seen: 1,285 generated ones (DiffusionFER, CC0).

    python -W ignore benchmarks/diffusionfer.py ROOT/s_aff_wild2 [--inner] [--write FILE] [--fine-tune [--processes N]]

Five outer folds in `folds_diffusionfer.csv` (seed 0, near-duplicates together). Crops are aligned as `affect predict`
does it; the trunk is EfficientNet-Lite0 with ImageNet's weights, the rest is trained by the package's own learner
(`infer.default`). The number of epochs is chosen once for each outer fold, on one fold of its training part (seed 0);
then the whole training part is trained for that many, with three seeds. Scores are of all outer folds together: CCC of
V and A, accuracy of seven expressions, macro F1. The floor is a linear model on the trunk's usual features.
--inner: only the inner folds, to compare recipes. --write: the figures of the model's card, as JSON.
--fine-tune: instead, all layers of EfficientNet-Lite0 are trained for V, A and EXPR, on the same folds; the recipe,
too, is chosen inside each outer fold. Minutes of a GPU with `--processes 15`, hours of two cores."""
import argparse, json, multiprocessing, os, tempfile, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2, numpy as np, pandas as pd, torch
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from affect_nb.data.aff_wild2 import read_aff_wild2
from affect_nb.data.loaders import Augment, WindowDataset, Windows
from affect_nb.frames import targets
from affect_nb.infer.default import (BROWS, DRAWN_VIEWS, EPOCHS, LEARNT, crops_of, drawn_faces, squeeze_views, squeezed,
                                     train_faces, trunk_weights, view, view_maps, without_brows)
from affect_nb.labels import AUS, EXPRS, OUTPUTS
from affect_nb.models.affect import AffectModel
from affect_nb.models.encoder import create_encoder
from affect_nb.models.grid import face_grid
from affect_nb.train.intervals import bootstrap, combine
from affect_nb.train.learner import affect_learner, fit_affect
from affect_nb.train.metrics import ccc

FILE = Path(__file__).with_name('folds_diffusionfer.csv')
TASKS, SEEDS = list(LEARNT), (0, 1, 2)
ALIKE = .95 # correlation of 24 × 24 grey pixels above which two pictures are one
ACCURACY = 'accuracy of 7 expressions'

def write_folds(df):
    "Five folds of groups of near-duplicates, the expressions in proportion."
    def small_of(p): return cv2.resize(cv2.imread(p, 0), (24, 24), interpolation=cv2.INTER_AREA).ravel()
    small = np.stack([small_of(p) for p in df['image']])
    group = connected_components(np.corrcoef(small) > ALIKE)[1]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(df, df['expr'], group)
    fold = np.empty(len(df), int)
    for k, (_, rows) in enumerate(folds): fold[rows] = k
    pd.DataFrame(dict(video=df['video'], group=group, fold=fold)).to_csv(FILE, index=False)

def folds_of(df):
    "The frames table with its groups of near-duplicates, and each face's fold."
    if not FILE.exists(): write_folds(df)
    known = df[['video']].astype(str).merge(pd.read_csv(FILE, dtype=dict(video=str)), on='video', how='left')
    return df.assign(group=known['group'].to_numpy().astype(str)), known['fold'].to_numpy()

def right(pred, y): return np.argmax(pred['EXPR'], 1) == y[:, 2]

def linear(crops, df, fold):
    "Ridge and logistic regression on frozen features of the whole backbone, penalties chosen in the training part."
    encoder, y = create_encoder(trunk_weights(), img_size=160).eval(), targets(df)
    parts = np.array_split(np.arange(len(df)), len(df) // 32)
    with torch.no_grad(): x = np.concatenate([encoder(view(crops, 0, rows, encoder)).numpy() for rows in parts])
    pred = {t: np.zeros((len(df), OUTPUTS[t])) for t in ('V', 'A', 'EXPR')}
    for k in range(5):
        tr, te = fold != k, fold == k
        for c, t in enumerate('VA'):
            m = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11))).fit(x[tr], y[tr, c])
            pred[t][te, 0] = m.predict(x[te])
        logistic = LogisticRegressionCV(Cs=np.logspace(-4, 0, 7), cv=3, max_iter=200)
        m = make_pipeline(StandardScaler(), logistic).fit(x[tr], y[tr, 2])
        pred['EXPR'][np.ix_(te, m.classes_.astype(int))] = m.predict_proba(x[te])
    return dict(V=ccc(pred['V'][:, 0], y[:, 0]), A=ccc(pred['A'][:, 0], y[:, 1]), EXPR=right(pred, y).mean())

def best_epochs(log): return int(log[['ccc_v', 'ccc_a', 'f1_expr']].mean(axis=1).idxmax()) + 1

def inner(encoder, df, maps, drawn, fold, k):
    "Epochs for outer fold `k`, by one fold of its training part, and the log of that training."
    valid = (k + 1) % 5
    train = np.flatnonzero((fold != k) & (fold != valid))
    made, x = squeezed(encoder, maps, train)
    more = drawn[0], squeeze_views(made, drawn[1])
    log = train_faces(made, df, x, train, np.flatnonzero(fold == valid), TASKS, seed=0, more=more)[2]
    return best_epochs(log), log

def outer(encoder, df, maps, drawn, fold, epochs):
    "Predictions of every face by models that have not seen it, for each seed."
    preds = [{t: np.zeros((len(df), OUTPUTS[t]), np.float32) for t in TASKS} for _ in SEEDS]
    for k in range(5):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        made, x = squeezed(encoder, maps, train)
        more = drawn[0], squeeze_views(made, drawn[1])
        for seed, pred in zip(SEEDS, preds):
            found = train_faces(made, df, x, train, test, TASKS, epochs[k], seed, more)[1]
            for t in TASKS: pred[t][test] = found[t]
    return preds

def accuracy(preds, df, y, draws=1000):
    "Mean of the seeds, with percentiles over resampled groups."
    hits = np.mean([right(p, y) for p in preds], 0)
    per = pd.DataFrame(dict(g=df['group'].to_numpy(), hits=hits, n=1)).groupby('g').sum().to_numpy()
    weights = np.random.default_rng(0).multinomial(len(per), np.full(len(per), 1 / len(per)), draws)
    drawn = (weights @ per[:, 0]) / (weights @ per[:, 1])
    return dict(score=hits.mean(), lo=np.quantile(drawn, .025), hi=np.quantile(drawn, .975),
                seeds=[float(right(p, y).mean()) for p in preds])

def figures(preds, df):
    "Every score: mean of the seeds, its interval over groups of near-duplicates, and each seed's."
    y, found = targets(df), {}
    for t in preds[0]:
        parts = [bootstrap(p, y, df['group'], t) for p in preds]
        whole = combine(parts)
        found[whole.metric] = dict(score=whole.score, present=whole.present, lo=whole.lo, hi=whole.hi,
                                   seeds=[p.score for p in parts])
    found[ACCURACY] = accuracy(preds, df, y)
    return found, per_class(preds, df, y) if 'AU' in preds[0] else None

def f1(said, true): return 2 * (said & true).sum() / max((said.sum() + true.sum()), 1)

def per_class(preds, df, y):
    "Faces with each label, and its F1, mean of the seeds."
    rows = [dict(name=e, faces=(y[:, 2] == i).sum(), f1=np.mean([f1(p['EXPR'].argmax(1) == i, y[:, 2] == i)
                 for p in preds])) for i, e in enumerate(EXPRS[:7])]
    for i, au in enumerate(AUS):
        if au in BROWS: continue # nobody's guess is believed
        known = ~np.isnan(y[:, 3 + i])
        true = y[known, 3 + i] == 1
        rows.append(dict(name=au, faces=true.sum(), f1=np.mean([f1(p['AU'][known, i] > .5, true) for p in preds])))
    return pd.DataFrame(rows)

def brows(preds, y):
    "How well surprised faces are told from neutral ones by AU1 and AU2 alone: area under the ROC curve."
    either = np.isin(y[:, 2], [EXPRS.index('Neutral'), EXPRS.index('Surprise')])
    surprised = y[either, 2] == EXPRS.index('Surprise')
    return {au: np.mean([roc_auc_score(surprised, p['AU'][either, AUS.index(au)]) for p in preds]) for au in BROWS}

def show(found):
    for name, s in found.items():
        all_occur = abs(s.get('present', s['score']) - s['score']) < 5e-4
        of = '' if all_occur else f", of the classes that occur {s['present']:.3f}"
        print(f"{name}: {s['score']:.3f}{of} [{s['lo']:.3f}, {s['hi']:.3f}], seeds "
              + ' '.join(f'{x:.3f}' for x in s['seeds']), flush=True)

MOST, DECAY = 15, .8 # epochs at most, factor of the rate from block to block
RECIPES = [dict(side=128, rate=1e-3), dict(side=128, rate=3e-3), dict(side=192, rate=2e-3)] # pixels, rate of heads
AUGMENT = Augment(crop=.85, rotation=6, brightness=.3, contrast=.3, saturation=.3)

def tuned(root, train, valid, epochs, seed, side, rate):
    "All layers trained; predictions of `valid` after the last epoch, and the log."
    torch.manual_seed(seed)
    df = read_aff_wild2(root)
    encoder = create_encoder(trunk_weights(), img_size=side, drop_path=.1)
    def images(rows, aug=None):
        part = df.iloc[rows].reset_index(drop=True)
        return part, WindowDataset(part, Windows(part), side, encoder.mean, encoder.std, aug, seed=seed)
    new, known = images(valid)
    learn = affect_learner(AffectModel(encoder, ['V', 'A', 'EXPR'], dropout=.2), images(train, AUGMENT)[1], known,
                           batch_size=64, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        found = fit_affect(learn, new, folder, epochs, rate, DECAY, 'last', schedule='cosine', seed=seed)
    return {t: found.predictions(t) for t in ('V', 'A', 'EXPR')}, pd.DataFrame(found.history.rows)

def best_recipe(logs):
    "Recipe and epochs with the best mean of the three scores."
    def score(log): return log[['ccc_v', 'ccc_a', 'f1_expr']].mean(axis=1)
    i = max(range(len(logs)), key=lambda i: score(logs[i]).max())
    return RECIPES[i], best_epochs(logs[i])

def fine_tune(root, processes, seeds=SEEDS):
    "Recipe and epochs by one inner fold for each outer one, then the outer folds with several seeds."
    began = time.time()
    df, fold = folds_of(read_aff_wild2(root))
    inside = [(k, recipe) for k in range(5) for recipe in RECIPES]
    outside = [(k, seed) for k in range(5) for seed in seeds]
    preds = [{t: np.zeros((len(df), OUTPUTS[t]), np.float32) for t in ('V', 'A', 'EXPR')} for _ in seeds]
    threads = max(1, os.cpu_count() // processes)
    with ProcessPoolExecutor(processes, multiprocessing.get_context('spawn'), torch.set_num_threads,
                             (threads,)) as pool:
        def rows(*folds): return np.flatnonzero(np.isin(fold, folds))
        def rest(*folds): return np.flatnonzero(~np.isin(fold, folds))
        trials = [pool.submit(tuned, root, rest(k, (k + 1) % 5), rows((k + 1) % 5), MOST, 0, **r) for k, r in inside]
        chosen = [best_recipe([t.result()[1] for t in trials[k * len(RECIPES):][:len(RECIPES)]]) for k in range(5)]
        for k, (recipe, epochs) in enumerate(chosen):
            print(f'fold {k}: {recipe}, {epochs} of {MOST} epochs ({time.time() - began:.0f} s)', flush=True)
        trials = [pool.submit(tuned, root, rest(k), rows(k), chosen[k][1], seed, **chosen[k][0]) for k, seed in outside]
        for (k, seed), trial in zip(outside, trials):
            for t, p in trial.result()[0].items(): preds[seeds.index(seed)][t][rows(k)] = p
    show(figures(preds, df)[0])
    print(f'({time.time() - began:.0f} s)')

def main(root, only_inner, write):
    began = time.time()
    df, fold = folds_of(without_brows(read_aff_wild2(root)))
    crops, encoder = crops_of(df['image']), face_grid(trunk_weights())
    maps = view_maps(encoder, crops)
    with tempfile.TemporaryDirectory() as folder:
        table = drawn_faces(Path(folder)/'drawn')
        drawn = table, view_maps(encoder, crops_of(table['image']), DRAWN_VIEWS)
    print(f'{len(df)} faces, folds of {np.bincount(fold).tolist()} ({time.time() - began:.0f} s)', flush=True)
    chosen, logs = zip(*[inner(encoder, df, maps, drawn, fold, k) for k in range(5)])
    print('inner folds, mean of the last epochs:')
    print(pd.concat([log.iloc[[-1]] for log in logs]).mean().round(3).to_string(), flush=True)
    if only_inner: return
    print('epochs chosen inside each outer fold:', list(chosen), 'of', EPOCHS, flush=True)
    floor = linear(crops, df, fold)
    print('floor, linear on frozen features:', {k: round(float(v), 3) for k, v in floor.items()}, flush=True)
    preds = outer(encoder, df, maps, drawn, fold, chosen)
    found, classes = figures(preds, df)
    by_brows = brows(preds, targets(df))
    show(found)
    print('surprised against neutral faces, by the brows alone:', {k: round(float(v), 3) for k, v in by_brows.items()})
    print(classes.round(3).to_string(index=False), f'\n({time.time() - began:.0f} s)')
    report = dict(scores=found, classes=classes.to_dict('records'), brows=by_brows, floor=floor, epochs=chosen,
                  faces=len(df), groups=df['group'].nunique(), folds=5)
    if write: Path(write).write_text(json.dumps(report, indent=1, default=float))

if __name__ == '__main__':
    p = argparse.ArgumentParser()
    p.add_argument('root')
    p.add_argument('--inner', action='store_true')
    p.add_argument('--write')
    p.add_argument('--fine-tune', action='store_true')
    p.add_argument('--processes', type=int, default=1, help='trainings at the same time')
    a = p.parse_args()
    if a.fine_tune: fine_tune(a.root, a.processes)
    else: main(a.root, a.inner, a.write)
