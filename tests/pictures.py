"""The pictures at the top of the README, from a finished demo: `python tests/pictures.py runs/demo`. Drawn faces with
their labels, and faces that its auto-encoder has painted; since the demo pre-trains for one epoch, with an encoder that
had learnt before and a decoder that had not, the decoder is trained for some minutes more."""
import sys, time
from pathlib import Path

import matplotlib.pyplot as plt, numpy as np, torch
from PIL import Image

from affect_nb.data.aff_wild2 import read_mtl
from affect_nb.data.images import read_image
from affect_nb.labels import AUS, EXPRS
from affect_nb.models.mae import load_mae, show_reconstruction

IMAGES = Path(__file__).resolve().parents[1]/'nbs'/'images'


def one_of_each(root):
    "For each expression the labelled frame of the held-out persons in which most is seen, no person twice."
    df = read_mtl(root/'held_out_set_annotations.txt', root/'cropped_aligned').dropna(subset=['valence', 'expr', *AUS])
    found, seen = [], set()
    for e in EXPRS:
        mine = df[(df['expr'] == e) & ~df['video'].isin(seen)]
        best = mine.loc[mine[list(AUS)].sum(axis=1).idxmin()
                        if e == 'Neutral' else mine[list(AUS)].sum(axis=1).idxmax()]
        found.append(best)
        seen.add(best['video'])
    return found


def strip(rows):
    "A face for each expression, and what it is labelled with."
    fig, axes = plt.subplots(1, len(rows), figsize=(1.25*len(rows), 1.75), layout='constrained')
    for ax, r in zip(axes, rows):
        ax.imshow(read_image(r['image']))
        ax.set_title(r['expr'], fontsize=9)
        units = [a.removeprefix('AU') for a in AUS if r[a] == 1]
        ax.set_xlabel(f"V {r['valence']:+.1f}  A {r['arousal']:+.1f}\nAU {' '.join(units) or '–'}", fontsize=7)
        ax.set(xticks=[], yticks=[])
        for side in ax.spines.values(): side.set_visible(False)
    return fig


def pixels(mae, rows):
    "Faces as the encoder takes them."
    side = mae.encoder.img_size
    faces = [Image.fromarray(np.asarray(read_image(r))).resize((side, side), Image.Resampling.BICUBIC) for r in rows]
    x = torch.stack([torch.from_numpy(np.array(f)).permute(2, 0, 1)/255 for f in faces])
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (mae.encoder.mean, mae.encoder.std))
    return (x - mean)/std


def train_decoder(mae, x, minutes):
    "Adam on the decoder alone, the rate falling to nothing."
    torch.manual_seed(0)
    mae.train().encoder.requires_grad_(False)
    step, begun, took = torch.optim.AdamW([p for p in mae.parameters() if p.requires_grad], 2e-3,
                                          weight_decay=.01), time.time(), 0
    while (done := (time.time() - begun)/60/minutes) < 1:
        step.param_groups[0]['lr'] = 2e-3*(1 - done)
        loss = mae(x[torch.randint(len(x), (64,))])[0]
        step.zero_grad(); loss.backward(); step.step()
        took += 1
        if took % 100 == 0: print(f'{took} steps, loss {loss.item():.3f}', flush=True)
    return mae.eval()


def painted(mae, rows):
    "What the encoder sees of some faces, and what the decoder makes of it."
    return show_reconstruction(mae, pixels(mae, [r['image'] for r in rows]), torch.Generator().manual_seed(0))


def save(fig, name):
    "A small file."
    fig.savefig(IMAGES/name, dpi=100)
    Image.open(IMAGES/name).convert('RGB').quantize(128).save(IMAGES/name, optimize=True)
    print(IMAGES/name, (IMAGES/name).stat().st_size)


if __name__ == '__main__':
    out = Path(sys.argv[1])
    root = next((out/'data').glob('faces-*/'))
    rows = one_of_each(root)
    save(strip(rows), 'faces.png')
    mae = load_mae(next((out/'runs').glob('pretrain-*/')))
    seen = read_mtl(root/'training_set_annotations.txt', root/'cropped_aligned')['image'].drop_duplicates()
    save(painted(train_decoder(mae, pixels(mae, seen), float(sys.argv[2]) if sys.argv[2:] else 5), rows), 'mask.png')
