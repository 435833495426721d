"""Real training noise: one row against itself. How often is a difference called between two threes of its own seeds?

    python benchmarks/seeds.py [OUT]

Trains one cheap row each of V, EXPR and AU (2.10, 2.5 and 2.1 of the demo, on its cached features) with 24 seeds, as
any sweep does, draws 500 pairs of threes from each, and counts the differences that `train.intervals.seeded` calls.
Nominal: 5%. Beside it what one seed against one seed would call, were that allowed."""
import itertools, sys, tempfile
from pathlib import Path

import numpy as np, pandas as pd

from affect_nb.sweep.sweep import Sweep
from affect_nb.train.intervals import paired, seeded

ROWS = 'row,task\nvalence,V\nexpression,EXPR\nunits,AU\n'

def main(out='runs/seeds'):
    with tempfile.TemporaryDirectory() as d:
        file = Path(d)/'again.csv'
        file.write_text(ROWS)
        table = Sweep('demo', out=out, seeds=24, rerun='never').rows(str(file))
    rng, lines = np.random.default_rng(0), []
    for id, c in table.cells.items():
        scores = [b.present for b in c.seeds]
        threes = [rng.permutation(24)[:6] for _ in range(500)]
        called = [seeded([c.seeds[i] for i in p[:3]], [c.seeds[i] for i in p[3:]]).called for p in threes]
        pairs = [paired(c.seeds[i], c.seeds[j]) for i, j in itertools.combinations(range(24), 2)]
        error = np.std(c.seeds[0].draws)
        lines.append(dict(row=id, score=np.mean(scores), of_seeds=np.std(scores, ddof=1), of_persons=error,
                          called=np.mean(called),
                          single_seeds_exclude_zero=np.mean([d.lo > 0 or d.hi < 0 for d in pairs])))
    print(pd.DataFrame(lines).round(4).to_string(index=False))

if __name__ == '__main__': main(*sys.argv[1:])
