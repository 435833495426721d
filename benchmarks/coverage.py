"""How often a nominal 95% interval holds the truth, and how often two rows that are equal are called different.

    python benchmarks/coverage.py [--quick]

**Coverage.** A world is a way to make groups (persons or clips): labels and predictions of 60 frames each. Its truth is
the score over 100,000 groups (seed 1). Each repetition (seeds 2, 3, …) makes a few groups and asks whether the interval
of `train.intervals.bootstrap` holds the truth; `width` is its median width over that of plain percentiles, as they were
before: a class without a positive label counted as 0. Paired: two models on the same groups.

- EXPR: clips of one expression for the most part, in the proportions of 50 clips of which 38 have Neutral, 5 Anger,
  3 Disgust, 3 Fear, 31 Happiness, 9 Sadness, 18 Surprise and 26 Other.
- AU mild: twelve units with rates from .05 to .5, other for each group. AU concentrated: three of four groups don't
  show a unit at all.
- V: a level for each group, a model that reads each group otherwise well. A: the same with more noise.

**False alarms.** Two rows without any difference, 3 or 5 trainings each, whose training noise is 0, .3, 1 or 3 times
the groups' standard error: how often is a difference called, and how often one of .05 that is there."""
import sys, time

import numpy as np, pandas as pd

from affect_nb.train.intervals import Bootstrap, _by_group, _drawn, bootstrap, paired, seeded
from affect_nb.train.metrics import METRICS

FRAMES = 60
CLIPS = np.array([38, 5, 3, 3, 31, 9, 18, 26])/50 # of a clip that an expression occurs in it
RATES = np.linspace(.05, .5, 12)

def expr(rng, groups, skill=1.4):
    "Which expressions a clip shows, how long each, and scores that know the label by `skill`."
    shown = rng.random((groups, 8)) < CLIPS
    empty = ~shown.any(1)
    shown[empty, rng.choice(8, empty.sum(), p=CLIPS/CLIPS.sum())] = True
    share = rng.dirichlet(np.ones(8), groups)*shown
    pick = (share/share.sum(1, keepdims=True)).cumsum(1)
    y = (rng.random((groups, FRAMES, 1)) > pick[:, None]).sum(-1).clip(0, 7)
    level = rng.normal(1, .4, (groups, 1, 1))*skill # some clips are read better
    bias = rng.normal(0, .5, (groups, 1, 8))
    return rng.normal(size=(groups, FRAMES, 8)) + bias + level*np.eye(8)[y], y.astype(float)

def au(rng, groups, concentrated, skill=1.):
    rate = rng.beta(4*RATES, 4*(1 - RATES), (groups, 12))
    if concentrated: rate = np.where(rng.random((groups, 12)) < .25, np.minimum(4*RATES, .9), 0.)
    y = (rng.random((groups, FRAMES, 12)) < rate[:, None]).astype(float)
    logit = rng.normal(size=y.shape) + rng.normal(0, .5, (groups, 1, 12)) + skill*(2*y - 1)
    return 1/(1 + np.exp(-logit)), y

def value(rng, groups, noise, skill=.7):
    y = np.tanh(rng.normal(0, .5, (groups, 1)) + .3*np.cumsum(rng.normal(0, .2, (groups, FRAMES)), 1))
    reads = rng.normal(skill, .25, (groups, 1))
    return reads*y + rng.normal(0, .15, (groups, 1)) + rng.normal(0, noise, y.shape), y

WORLDS = { # name → task, and what makes groups
    'EXPR': ('EXPR', expr),
    'AU mild': ('AU', lambda rng, n, **k: au(rng, n, False, **k)),
    'AU concentrated': ('AU', lambda rng, n, **k: au(rng, n, True, **k)),
    'V': ('V', lambda rng, n, **k: value(rng, n, .2, **k)),
    'A': ('A', lambda rng, n, **k: value(rng, n, .4, **k))}
BETTER = {'EXPR': 1.7, 'AU': 1.2, 'V': .75, 'A': .75} # skill of the second model

def frames(x): return x.reshape(-1, *x.shape[2:])

def two(make, task, rng, groups):
    "Two models on the same groups: the predictions of each, and the labels."
    seed = rng.integers(1 << 32)
    (p, y), (q, _) = (make(np.random.default_rng(seed), groups, **k) for k in ({}, dict(skill=BETTER[task])))
    mixed = q + (np.random.default_rng(seed + 1).normal(0, .3, q.shape) if task == 'EXPR' else 0)
    return frames(p), frames(mixed), frames(y)

def truth(make, task, groups):
    "The scores of both models over very many groups, ten thousand at a time."
    m, sums = METRICS[task], [0, 0]
    for k in range(groups//10_000):
        p, q, y = two(make, task, np.random.default_rng([1, k]), 10_000)
        for i, x in enumerate((p, q)): sums[i] = sums[i] + m.parts(x, y)[0].sum(0)
    return [float(m.occurring(s)) for s in sums]

def old_draws(p, y, group, task):
    "Draws as they were before: a class without a positive label counts as 0."
    m = METRICS[task]
    sums = _by_group(m.parts(p, y)[0], group, group.max() + 1)
    return np.concatenate([m.value(w) for w in _drawn(sums, 1000, 0)])

def coverage(repeats):
    rows = []
    for name, (task, make) in WORLDS.items():
        real = truth(make, task, 100_000)
        for groups in (50, 20) if name == 'EXPR' else (20, 50):
            held, width, old, diff_held = [], [], [], []
            for k in range(repeats):
                p, q, y = two(make, task, np.random.default_rng([2, groups, k]), groups)
                group = np.repeat(np.arange(groups), FRAMES)
                b, c = (bootstrap({task: x}, y, group, task) for x in (p, q))
                d = paired(c, b)
                held.append(b.lo <= real[0] <= b.hi)
                diff_held.append(d.lo <= real[1] - real[0] <= d.hi)
                width.append(b.hi - b.lo)
                if k < 200: old.append(np.ptp(np.quantile(old_draws(p, y, group, task), (.025, .975))))
            rows.append(dict(world=name, groups=groups, truth=round(real[0], 3), coverage=np.mean(held),
                             paired=np.mean(diff_held),
                             width=np.median(width)/np.median(old)))
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)

def _boot(values, effect, weights):
    "A score that is a mean over groups, with the effect of a training."
    n = len(values)
    score = values.mean() + effect
    draws, influence = weights @ values/n + effect, (values - values.mean())/n
    return Bootstrap('mean', score, score, score, score, draws, influence, tuple(range(n)), np.ones(n), 0)

def alarms(repeats):
    "How often equal rows are called different, and how often a difference of .05 is found."
    rows = []
    for seeds in (3, 5):
        for groups in (20, 50):
            weights = np.random.default_rng(0).multinomial(groups, np.full(groups, 1/groups), 1000).astype(float)
            for ratio in (0, .3, 1, 3):
                called = {}
                for shared in (False, True):
                    hits = np.zeros(2)
                    for k in range(repeats):
                        rng = np.random.default_rng([3, seeds, groups, int(10*ratio), k])
                        spread = .05 # of a group's difference: its standard error is .05/√groups
                        easy, own = rng.normal(0, .15, groups), rng.normal(0, spread, (2, groups))/np.sqrt(2)
                        noise = ratio*spread/np.sqrt(groups)
                        effects = rng.normal(0, noise, (2, seeds))
                        if shared: effects = effects/np.sqrt(2) + rng.normal(0, noise, seeds)/np.sqrt(2)
                        for i, gain in enumerate((0., .05)):
                            a, b = ([_boot(easy + own[s] + gain*s, e, weights) for e in effects[s]] for s in (1, 0))
                            hits[i] += seeded(a, b, shared).called
                    called['shared' if shared else 'own'] = hits/repeats
                rows.append(dict(seeds=seeds, groups=groups, noise=ratio)
                            | {f'{k} {w}': v[i] for k, v in called.items() for i, w in enumerate(('alarms', 'power'))})
                print(rows[-1], flush=True)
    return pd.DataFrame(rows)

def main(*flags):
    quick, began = '--quick' in flags, time.time()
    if '--alarms' not in flags:
        print(coverage(100 if quick else 1000).round(3).to_string(index=False), f'\n{time.time() - began:.0f} s',
              flush=True)
    if '--coverage' not in flags:
        print(alarms(200 if quick else 2000).round(3).to_string(index=False), f'\n{time.time() - began:.0f} s')

if __name__ == '__main__': main(*sys.argv[1:])
