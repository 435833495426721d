"""Images per second from 112-px JPEG files to augmented float batches, against fastai's `ImageBlock` pipeline on the
same files."""
import sys, tempfile, time
from statistics import median

import cv2, pandas as pd, torch
from fastai.vision.all import (CategoryBlock, DataBlock, ImageBlock, Normalize, RandomResizedCrop, aug_transforms,
                               get_image_files, parent_label)

from affect_nb.data.loaders import Augment, WindowDataset, Windows, make_loader
from affect_nb.data.synthetic import write_faces
from affect_nb.frames import make_frames

BATCH, REPEAT, ROUNDS = 64, 2, 5

def ours(files, size, workers):
    df = make_frames(pd.DataFrame(dict(image=[str(f) for f in files], video=[f.parent.name for f in files],
                                       frame=range(len(files)))))
    return make_loader(WindowDataset(df, Windows(df), size, aug=Augment()), BATCH, shuffle=True, workers=workers)

def fastais(files, size, workers):
    "Less than ours does: no hue and saturation, and three quarters of the images where ours changes each."
    augment = aug_transforms(max_rotate=10, max_zoom=1.1, max_warp=0, max_lighting=.2)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=lambda o: (range(len(o)), []),
                      item_tfms=RandomResizedCrop(size, min_scale=.8),
                      batch_tfms=[*augment, Normalize.from_stats([.5] * 3, [.5] * 3)])
    return block.dataloaders(files, bs=BATCH, num_workers=workers, device='cpu').train

def speed(loader):
    "Images per second of one pass, from the first batch to the last: the start of the workers is left out."
    n, start = 0, None
    for x, *_ in loader:
        if start: n += x.shape[0]
        else: start = time.perf_counter()
    return n / (time.perf_counter() - start)

def main(sizes):
    torch.set_num_threads(1); cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(get_image_files(write_faces(f'{folder}/faces', 40, 8))) * REPEAT
        print(f'{len(files)} images of 112×112, batches of {BATCH}, median of {ROUNDS} rounds\n\n'
              f'workers  size  affect_nb    fastai   ratio')
        for workers in (1, 0):
            for size in sizes:
                a, b = ours(files, size, workers), fastais(files, size, workers)
                pairs = [(speed(a), speed(b)) for _ in range(ROUNDS)]
                x, y, ratio = (median(v) for v in (*zip(*pairs), [x / y for x, y in pairs]))
                print(f'{workers:7}{size:6}{x:7,.0f}/s {y:7,.0f}/s  {ratio:5.2f}×', flush=True)

if __name__ == '__main__': main([int(a) for a in sys.argv[1:]] or (112, 64, 224))
