"""The time left of a sweep, replayed: what was said after each run, against what came. The durations are those of the
first 117 runs of a sweep with three seeds; its machine became four times slower meanwhile, since others came to
work on it."""
import heapq
from types import SimpleNamespace

import pandas as pd

from affect_nb.sweep.pace import Pace
from affect_nb.sweep.work import Work
from common import ROOT

RUNS = pd.read_csv(ROOT/'tests'/'files'/'sweep.csv', keep_default_na=False)
PARTS = ['training', 'features', 'beyond', 'total']


def steady(runs):
    """The same runs on a machine that keeps its speed: the start of a run is always the same work, so it tells how
    slow the machine was; two at a time."""
    runs = runs.sort_values('ended')
    slow = (runs.beyond/runs.beyond.iloc[2:50].median()).rolling(9, center=True, min_periods=3).median()
    runs[PARTS] = runs[PARTS].div(slow, axis=0)
    free, ends = [0., 0.], {}
    for k, r in runs.sort_index().iterrows():
        begun = max([heapq.heappop(free), *(ends[p] for p in r.parents.split())])
        ends[r['name']] = begun + r.total
        heapq.heappush(free, ends[r['name']])
        runs.loc[k, ['begun', 'ended']] = begun, ends[r['name']]
    return runs.sort_index()


def replayed(runs):
    "What was said when each run had ended: share of the whole time, seconds that were left, seconds that were said."
    asked = {}
    for r in runs.itertuples():
        params = dict(tune=r.tune, seq_len=int(float(r.seq_len or 1))) if r.tune else {}
        parents = [asked[p] for p in r.parents.split()]
        asked[r.name] = SimpleNamespace(digest=r.name, kind=r.kind, params=params, call={},
                                        parents=lambda parents=parents: parents)
    pace, end = Pace(asked.values(), lambda data: None), runs.ended.max()
    pace.works = {r.name: Work(r.epochs, float(r.train), int(r.valid), 0) for r in runs.itertuples()}
    for r in runs.sort_values('ended').itertuples():
        pace.learn(asked[r.name], dict(total=r.total, training=r.training, features=r.features))
        waiting, now = runs[runs.ended > r.ended], r.ended
        rest = {q.name: pace.rest(asked[q.name], now - q.begun) for q in waiting.itertuples() if q.begun < now}
        yield now/end, end - now, pace.left([asked[name] for name in waiting['name']], rest, 2)


def wrong(runs, since):
    "The largest error of what was said, as a share of what was left, up to the last half minute."
    return max(abs(said/left - 1) for share, left, said in replayed(runs) if share >= since and left > 30)


def test_the_time_left_is_right_within_a_quarter_after_the_first_fifth():
    assert wrong(steady(RUNS.copy()), .2) < .25


def test_it_follows_a_machine_that_becomes_slower():
    assert wrong(RUNS, .4) < .45
