"""The paper's data in their official sizes, as tables without images: to count batches, FLOPs and hours.

Counts are those of §4.1 (Aff-Wild2, Fuxi-EXPR, faces of pre-training) and of the data sets' own papers; the labels are
random, in these proportions, and what is not annotated is missing for whole videos, as in Aff-Wild2."""
import pyarrow as pa
import numpy as np, pandas as pd

from affect_nb.data.faces import FaceList
from affect_nb.data.project import Project
from affect_nb.data.table import multi_hot
from affect_nb.frames import make_frames
from affect_nb.labels import AUS, BASIC, EXPRS, RAF_COMPOUNDS

# split: frames, videos, and how many frames are annotated
AFF_WILD2 = dict(
    train=dict(frames=141_431, videos=288, VA=103_917, AU=103_316, EXPR=90_645),
    val=dict(frames=26_666, videos=72, VA=26_666, AU=26_666, EXPR=15_363))
AU_SHARE = (.12, .05, .16, .27, .39, .34, .24, .03, .03, .03, .63, .08) # of the annotated frames, in the order of `AUS`
EXPR_SHARE = (.32, .06, .05, .04, .18, .13, .08, .14) # in the order of `EXPRS`
AFFECTNET = dict(
    train=dict(Neutral=74_874, Happiness=134_415, Sadness=25_459, Surprise=14_090, Fear=6_378, Disgust=3_803,
               Anger=24_882, Contempt=3_750),
    val=dict.fromkeys(('Neutral', 'Happiness', 'Sadness', 'Surprise', 'Fear', 'Disgust', 'Anger', 'Contempt'), 500))
RAF_BASIC = dict(
    train=dict(Surprise=1_290, Fear=281, Disgust=717, Happiness=4_772, Sadness=1_982, Anger=705, Neutral=2_524),
    val=dict(Surprise=329, Fear=74, Disgust=160, Happiness=1_185, Sadness=478, Anger=162, Neutral=680))
RAF_COMPOUND = dict(zip(RAF_COMPOUNDS, (697, 266, 129, 163, 86, 738, 150, 560, 176, 841, 148))) # four fifths train
BP4D = dict(subjects=41, tasks=8, frames=146_000)
FUXI = dict(train=57_294, val=14_324) # Fuxi-EXPR is private: one fifth validates, the classes as in RAF-DB
FACES = 4_500_000

def lengths(frames, videos, rng):
    "Frames of each video, `frames` in all: from a few to thousands."
    cuts = rng.lognormal(0, 1, videos).cumsum()
    return np.diff((cuts / cuts[-1] * (frames - videos)).astype(int), prepend=0) + 1

def some_videos(length, frames, rng):
    "`(n,)` bool: whole videos, in a random order, until `frames` frames are marked."
    of_frame, order = np.repeat(np.arange(len(length)), length), rng.permutation(len(length))
    place = np.argsort(order)[of_frame] # of the frame's video in that order
    marked = np.zeros(len(of_frame), bool)
    marked[np.argsort(place, kind='stable')[:frames]] = True
    return marked

def aff_wild2(split, rng):
    "Frames of Aff-Wild2's multi-task challenge."
    n, length = AFF_WILD2[split], lengths(AFF_WILD2[split]['frames'], AFF_WILD2[split]['videos'], rng)
    video = np.repeat([f'{split}-{i:03}' for i in range(n['videos'])], length)
    frame = np.concatenate([np.arange(1, k + 1) for k in length])
    df = pd.DataFrame(dict(image=[f'{v}/{f:05}.jpg' for v, f in zip(video, frame)], video=video, frame=frame))
    va, au, expr = (some_videos(length, n[t], rng) for t in ('VA', 'AU', 'EXPR'))
    for c in ('valence', 'arousal'): df[c] = np.where(va, rng.uniform(-1, 1, len(df)), np.nan)
    for a, share in zip(AUS, AU_SHARE): df[a] = np.where(au, rng.random(len(df)) < share, np.nan)
    df['expr'] = np.where(expr, rng.choice(EXPRS, len(df), p=EXPR_SHARE), None)
    return df.assign(split=split, group=video)

def images(name, counts, split):
    "One row for each image, with the names of its class."
    of_class = np.repeat(list(counts), list(counts.values()))
    image = [f'{name}-{split}-{i:06}' for i in range(len(of_class))]
    return pd.DataFrame(dict(image=image, video=image, group=image, split=split, name=of_class))

def affectnet(rng):
    df = pd.concat([images('affectnet', n, s) for s, n in AFFECTNET.items()], ignore_index=True)
    df = pd.concat([df, multi_hot(df['name'])], axis=1).assign(expr=df['name'].replace('Contempt', 'Other'))
    for c in ('valence', 'arousal'): df[c] = rng.uniform(-1, 1, len(df))
    return make_frames(df, 'affectnet')

def raf_db():
    df = pd.concat([images('raf', n, s) for s, n in RAF_BASIC.items()], ignore_index=True)
    return make_frames(pd.concat([df, multi_hot(df['name'])], axis=1).assign(expr=df['name']), 'raf_db_basic')

def raf_compound():
    parts = dict(train={k: n - n // 5 for k, n in RAF_COMPOUND.items()},
                 val={k: n // 5 for k, n in RAF_COMPOUND.items()})
    df = pd.concat([images('raf-compound', n, s) for s, n in parts.items()], ignore_index=True)
    return make_frames(pd.concat([df, multi_hot(df['name'])], axis=1), 'raf_db_compound')

def bp4d(rng):
    length = lengths(BP4D['frames'], BP4D['subjects'] * BP4D['tasks'], rng)
    video = np.repeat([f'S{i // BP4D["tasks"]:03}-T{i % BP4D["tasks"] + 1}' for i in range(len(length))], length)
    frame = np.concatenate([np.arange(1, k + 1) for k in length])
    df = pd.DataFrame(dict(image=video, video=video, frame=frame, group=[v[:4] for v in video]))
    for a, share in zip(AUS, AU_SHARE): df[a] = (rng.random(len(df)) < share).astype(float)
    return make_frames(df, 'bp4d')

def fuxi(rng):
    classes = {k: n for k, n in RAF_BASIC['train'].items() if k in BASIC}
    share = np.array(list(classes.values())) / sum(classes.values())
    counts = {s: dict(zip(classes, rng.multinomial(n, share))) for s, n in FUXI.items()}
    df = pd.concat([images('fuxi', n, s) for s, n in counts.items()], ignore_index=True)
    return make_frames(pd.concat([df, multi_hot(df['name'])], axis=1), 'table')

class Faces(FaceList):
    "A corpus of which only the size matters."
    def __init__(self): super().__init__('.', pa.nulls(FACES, pa.string()))
    def digest(self, sizes=0): return 'official-faces'

def official_project() -> Project:
    "All data of the paper; no file exists, and digests are names."
    rng = np.random.default_rng(0)
    frames = make_frames(pd.concat([aff_wild2(s, rng) for s in AFF_WILD2], ignore_index=True), 'aff_wild2')
    raf, table = raf_db(), fuxi(rng)
    ce = pd.concat([raf[raf['expr'] != 'Neutral'], table, raf_compound()], ignore_index=True)
    sets = dict(bp4d=bp4d(rng), raf_db=raf, affectnet=affectnet(rng), table=table, CE=ce)
    project = Project(frames, [Faces()], source='official sizes', where={k: lambda: None for k in sets if k != 'CE'})
    project._frames |= sets
    project._digests |= {name: f'official-{name}' for name in ('', *sets)}
    return project

def main():
    project = official_project()
    print(f'{"":10}  frames  train: V, A     EXPR       AU       CE')
    for name in ('', 'raf_db', 'affectnet', 'bp4d', 'CE'):
        df = project.frames_of(name)
        train = df[df['split'] == 'train']
        n = [int(train[c].notna().sum()) for c in ('valence', 'expr', 'AU1', BASIC[0])]
        print(f'{name or "aff_wild2":10}{len(df):8,}' + ''.join(f'{k:9,}' for k in n))

if __name__ == '__main__': main()
