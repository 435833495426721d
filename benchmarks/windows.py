"Windows per second from 140,000 cached features of 768 numbers, and the memory that more windows take."
import tempfile, time, tracemalloc
from pathlib import Path
from statistics import median

import numpy as np, pandas as pd, torch

from affect_nb.data.loaders import WindowDataset, Windows, make_loader
from affect_nb.frames import make_frames

FRAMES, VIDEOS, D, S, BATCH, ROUNDS = 140_000, 350, 768, 30, 10, 5

def table(rng):
    "Videos from a few frames to thousands long, as Aff-Wild2's are."
    share = rng.lognormal(0, 1, VIDEOS)
    n = np.maximum(1, share / share.sum() * FRAMES * 1.01).astype(int)
    df = pd.DataFrame(dict(video=np.repeat(np.arange(VIDEOS), n),
                           frame=np.concatenate([np.arange(k) for k in n]))).head(FRAMES)
    return make_frames(df.assign(image='none.jpg', video=df.video.map('{:03}'.format),
                                 valence=rng.uniform(-1, 1, len(df)).astype('float32')))

def store(folder, n, rng):
    file = Path(folder)/'features.npy'
    a = np.lib.format.open_memmap(file, 'w+', np.float32, (n, D))
    for i in range(0, n, 10_000): a[i:i + 10_000] = rng.random((min(10_000, n - i), D), np.float32)
    a.flush(); del a
    return np.load(file, mmap_mode='r')

def speed(ds, shuffle):
    "Windows per second of one pass, all of them."
    t, n = time.perf_counter(), 0
    for _, _, mask, *_ in make_loader(ds, BATCH * S, shuffle): n += len(mask)
    return n / (time.perf_counter() - t)

def memory(df, features, hop, batches=200):
    "MB: the index of the windows, and the peaks of making it and of reading shuffled batches."
    def peak():
        now, most = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        return now / 2**20, most / 2**20
    WindowDataset(df, Windows(df, S, hop), features=features) # what pandas keeps is kept now
    tracemalloc.start()
    w = Windows(df, S, hop)
    index, making = peak()
    ds = WindowDataset(df, w, features=features)
    before, _ = peak()
    for _ in zip(range(batches), make_loader(ds, BATCH * S, True)): pass
    reading = peak()[1] - before
    tracemalloc.stop()
    return len(w), index, making, reading

def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    df = table(rng)
    with tempfile.TemporaryDirectory() as folder:
        features = store(folder, len(df), rng)
        print(f'{len(df):,} frames × {D} float32, {df.video.nunique()} videos, S = {S}, batches of {BATCH} windows\n')
        ds, found = WindowDataset(df, Windows(df, S), features=features), {'in order': [], 'shuffled': []}
        for _ in range(ROUNDS):
            for name, v in found.items(): v.append(speed(ds, name == 'shuffled'))
        for name, v in found.items(): print(f'W = {S}, {name}: {median(v):7,.0f} windows/s')
        print('\n W  windows   index MB  peak of making it  peak of reading')
        for hop in (S, 10, 1):
            n, index, making, reading = memory(df, features, hop)
            print(f'{hop:2}{n:9,}{index:11.2f}{making:19.2f}{reading:17.2f}', flush=True)

if __name__ == '__main__': main()
