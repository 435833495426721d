"""What the batches of Tables 2, 3 and 5 hold on the official sizes: blanks, supplements, labels of each task, videos.

Every batch of two epochs of each distinct run of the profile is dealt out by the loader's own sampler;
no image exists."""
import sys

import numpy as np, pandas as pd

from official import official_project

from affect_nb.data.loaders import WindowDataset, Windows
from affect_nb.labels import Y
from affect_nb.runs.run import blocks_of
from affect_nb.sweep.sweep import Sweep

EPOCHS = 2

def runs(profile):
    "The distinct runs on frames behind the tables, what they start from included."
    sweep = Sweep(profile=profile, data='official', out='runs/official', encoder='')
    sweep.projects['official'] = official_project()
    found = {}
    for cell in sweep.cells([2, 3, 5])[1].values():
        for request in cell.requests:
            for r in request.chain(): found[r.digest] = r
    return sweep.project(), [r for r in found.values() if r.kind != 'pretrain']

def dataset(request, project):
    "The training windows of a run; features stand for pictures, so that nothing is decoded."
    p, parts = request.params, blocks_of(request, project)['train']
    df = pd.concat([b.table() for b in parts], ignore_index=True)
    windows = Windows(df, p.get('seq_len', 1), p.get('hop', 1), p['tasks'])
    extra = np.arange(len(df)) >= len(parts[0].rows)
    return df, WindowDataset(df, windows, features=np.empty((len(df), 0), np.float32), extra=extra,
                             share=p['extra_share'])

def held(ds, batches, tasks, video):
    "One row for each batch."
    known = {t: ~np.isnan(ds.targets[:, Y[t]]).all(1) for t in tasks}
    for batch in batches:
        _, _, mask, _, rows = ds.__getitems__(batch)
        rows, windows = rows.numpy(), np.repeat(np.arange(len(mask)), mask.sum(1).numpy())
        row = dict(frames=len(rows), blanks=len(rows) - int(mask.sum()), extra=ds.extra[rows].mean())
        row |= {t: known[t][rows].sum() for t in tasks}
        va = [known[t][rows] for t in ('V', 'A') if t in tasks]
        if va: row |= dict(windows=len(np.unique(windows[va[0]])), videos=len(np.unique(video[rows[va[0]]])))
        yield row

def main(profile):
    project, requests = runs(profile)
    seen, total = set(), []
    print(f'{"tasks":13}   S   W  batch | frames      supplements, seen in | without a label | V/A: windows, videos '
          f'(least)')
    for r in requests:
        p = r.params
        key = (*p['tasks'], p.get('seq_len', 1), p.get('hop', 1), p['batch_size'], str(p['extra']), p['extra_share'])
        if key in seen: continue
        seen.add(key)
        df, ds = dataset(r, project)
        batches, rows, video = ds.batches(p['batch_size'], True,
                                          r.seed), [], pd.factorize(df['source'].astype(str) + df['video'])[0]
        for batches.epoch in range(EPOCHS): rows += held(ds, batches, p['tasks'], video)
        b = pd.DataFrame(rows)
        without = (b[p['tasks']] == 0).any(axis=1)
        total.append(dict(batches=len(b), without=without.sum(), blanks=b['blanks'].sum(), worst=without.mean()))
        videos = f"{b['windows'].min():.0f}, {b['videos'].min():.0f}" if 'windows' in b else ''
        print(f"{'+'.join(p['tasks']):13}{p.get('seq_len', 1):4}{p.get('hop', 1):4}{p['batch_size']:7} | "
              f"{b['frames'].min():4}…{b['frames'].max():4}"
              f"   {b['extra'].mean():8.1%}, {batches.parts:2} epochs | {without.mean():15.2%} | {videos}", flush=True)
    t = pd.DataFrame(total)
    print(f"{len(t)} kinds of batches, {t['batches'].sum():,} batches: {t['blanks'].sum()} blanks through the encoder, "
          f"{t['without'].sum() / t['batches'].sum():.3%} without a label of a task (at worst {t['worst'].max():.2%})")

if __name__ == '__main__': main(*sys.argv[1:] or ['paper'])
