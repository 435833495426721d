"""How well `outside` tells odd pictures from faces that were left out: area under the ROC curve.

    python -W ignore benchmarks/outside.py ROOT/s_aff_wild2

The model in the package is trained on four of the five folds in `folds_diffusionfer.csv`; the faces of the fifth are
shown as they are, grey, blurred, and against crops without a face: of scikit-learn's two sample photographs."""
import sys

import cv2, numpy as np, torch
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from affect_nb.data.aff_wild2 import read_aff_wild2
from affect_nb.infer.default import (LEARNT, crops_of, left_out_distances, squeezed, train_faces, trunk_weights, view,
                                     view_maps, without_brows)
from affect_nb.infer.outside import fit_outside
from affect_nb.models.grid import face_grid
from diffusionfer import folds_of

def grey(crop): return np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)

def blurred(crop):
    "As if the face were 14 pixels wide."
    return cv2.resize(cv2.resize(crop, (14, 14), interpolation=cv2.INTER_AREA), crop.shape[:2],
                      interpolation=cv2.INTER_CUBIC)

def no_faces(n, size=112):
    "Squares of photographs of a temple and of a flower."
    rng, out = np.random.default_rng(0), []
    for k in range(n):
        image = load_sample_images().images[k % 2]
        side = int(rng.uniform(80, 400))
        top, left = (int(rng.uniform(0, s - side)) for s in image.shape[:2])
        out.append(cv2.resize(image[top:top + side, left:left + side], (size, size), interpolation=cv2.INTER_AREA))
    return np.stack(out)

def main(root):
    df, fold = folds_of(without_brows(read_aff_wild2(root)))
    crops, encoder = crops_of(df['image']), face_grid(trunk_weights())
    train, left = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
    maps = view_maps(encoder, crops)
    made, x = squeezed(encoder, maps, train)
    model = train_faces(made, df, x, train, left, list(LEARNT[:3]), epochs=6)[0]
    @torch.no_grad()
    def features(crops):
        rows = np.array_split(np.arange(len(crops)), -(-len(crops) // 32))
        return torch.cat([model.features(view(crops, 0, r)) for r in rows])
    apart = left_out_distances(encoder, df, maps, train, epochs=6)
    outside, usual = fit_outside(features(crops[train]), apart), crops[left]
    shown = dict(grey=np.stack([*map(grey, usual)]), blurred=np.stack([*map(blurred, usual)]),
                 no_face=no_faces(len(usual)))
    ordinary = outside(features(usual))
    print(f'left-out faces: {np.mean(ordinary > .99):.3f} flagged, median share {np.median(ordinary):.2f}')
    for name, odd in shown.items():
        share = outside(features(odd))
        area = roc_auc_score(np.r_[np.zeros(len(ordinary)), np.ones(len(share))], np.r_[ordinary, share])
        print(f'{name}: area {area:.3f}, {np.mean(share > .99):.3f} flagged', flush=True)

if __name__ == '__main__': main(*sys.argv[1:])
