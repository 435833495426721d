"""What the intervals cost: of the six tables of a finished demo, against the code before them, on the same predictions.

    python benchmarks/intervals.py runs/demo3 [COMMIT]

COMMIT has plain percentiles in `train/metrics.py`: the default is the last one of them. Every run of every row is
scored on the validation set with 1,000 draws, then compared with its baseline's, by both codes in turns; the least of
five processor times counts. And one score of 300,000 frames."""
import importlib.util, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np

from affect_nb.runs.profile import PACKAGE
from affect_nb.sweep.sweep import Sweep, table_numbers
from affect_nb.train import intervals
from affect_nb.train.metrics import METRICS

def before(commit):
    "The metrics of another commit, as a module."
    shown = ['git', '-C', str(PACKAGE.parent), 'show', f'{commit}:affect_nb/train/metrics.py']
    file = Path(tempfile.mkdtemp())/'metrics.py'
    file.write_bytes(subprocess.run(shown, check=True, capture_output=True).stdout)
    spec = importlib.util.spec_from_file_location('affect_nb.train.metrics_before', file)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def seconds(code, rows):
    "All scores, then all differences."
    start, made = time.process_time(), {}
    for id, (task, seeds, _) in rows.items():
        made[id] = [code.bootstrap({METRICS[task].task: p.pred}, p.y, p.group, task) for p in seeds]
    for id, (_, _, baseline) in rows.items():
        for a, b in zip(made[id], made.get(baseline, [])): code.paired(a, b)
    return time.process_time() - start

if __name__ == '__main__':
    out, commit = sys.argv[1], (sys.argv[2:] or ['cce78ba^'])[0]
    profile = Path(out).name
    _, book = Sweep(profile, out=out, rerun='never').cells(table_numbers())
    rows = {i: (c.row.task, [c.predictions(s, 'val', c.row.task) for s in range(len(c.records))], c.row.baseline)
            for i, c in book.items() if c.records}
    old = before(commit)
    times = np.array([[seconds(code, rows) for code in (old, intervals)] for _ in range(5)]).min(0)
    scores = sum(len(seeds) for _, seeds, _ in rows.values())
    print(f'{len(rows)} rows, {scores} scores: before {times[0]:.2f} s, now {times[1]:.2f} s, {times[1]/times[0]:.3f} '
          f'times')
    rng = np.random.default_rng(0)
    y, group = np.full((300_000, 21), np.nan), np.arange(300_000)//600
    y[:, 0] = rng.normal(size=300_000)
    start = time.process_time()
    intervals.bootstrap(dict(V=y[:, :1] + .1), y, group.astype(str), 'V')
    print(f'300,000 frames of 500 groups: {time.process_time() - start:.1f} s')
