"Compounds from a batch of 256 × 3 × 112 × 112, against a loop that mixes one image after the other."
import random, time
from statistics import median

import torch

from affect_nb.labels import BASIC, RAF_COMPOUNDS
from affect_nb.train.mixing import FACE_LINE, MIXES, mix

BATCH, SIZE, BLEND, ROUNDS = 256, 112, .1, 15
PAIRS = {(BASIC.index(a), BASIC.index(b)) for pair in RAF_COMPOUNDS.values() for a, b in (pair, pair[::-1])}

def combine(a, b, kind, r):
    "One image with what `b` contributes to it."
    if kind == 'mixup': return torch.lerp(a, b, BLEND)
    size, out = a.shape[-1], a.clone()
    top, bottom, left, right = 0, size, 0, size
    if kind == 'cutmix':
        side = round(size * r.uniform(.25, .75) ** .5)
        top, left = r.randint(0, size - side), r.randint(0, size - side)
        bottom, right = top + side, left + side
    elif kind == 'halves': left, right = r.choice([(0, size // 2), (size // 2, size)])
    else: top, bottom = r.choice([(0, round(size * FACE_LINE)), (round(size * FACE_LINE), size)])
    out[:, top:bottom, left:right] = b[:, top:bottom, left:right]
    return out

def loop(x, y, which, kinds, r):
    "The plain way: image by image, a list of candidates, one of them, one kind."
    single, cls, out, targ = (y.sum(1) == 1).tolist(), y.argmax(1).tolist(), x.clone(), y.clone()
    for i, wanted in enumerate(which.tolist()):
        if not (wanted and single[i]): continue
        candidates = [j for j in range(len(x)) if single[j] and (cls[i], cls[j]) in PAIRS]
        if not candidates: continue
        j = r.choice(candidates)
        out[i] = combine(x[i], x[j], r.choice(kinds), r)
        targ[i] = torch.maximum(y[i], y[j])
    return out, targ

def milliseconds(f, x, *args):
    x = x.clone() # a fresh batch each time: `mix` writes into it
    start = time.perf_counter()
    f(x, *args)
    return (time.perf_counter() - start) * 1000

def main():
    gen, r = torch.Generator().manual_seed(0), random.Random(0)
    x, y = torch.randn(BATCH, 3, SIZE, SIZE, generator=gen), torch.eye(6)[torch.randint(6, (BATCH,), generator=gen)]
    print(f'{BATCH} images of {SIZE}×{SIZE}, median of {ROUNDS} rounds, by turns; milliseconds a batch\n')
    print('threads  marked  kinds          mix    loop   ratio')
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for share in (1, .5):
            which = torch.arange(BATCH) < share * BATCH
            for kinds in (*((k,) for k in MIXES), MIXES):
                pairs = [(milliseconds(mix, x, y, which, gen, kinds), milliseconds(loop, x, y, which, kinds, r))
                         for _ in range(ROUNDS)]
                a, b, ratio = (median(v) for v in (*zip(*pairs), [b / a for a, b in pairs]))
                kind = 'all' if len(kinds) > 1 else kinds[0]
                print(f'{threads:7}{share:8.0%}  {kind:10}{a:8.1f}{b:8.1f}{ratio:7.1f}×', flush=True)

if __name__ == '__main__': main()
