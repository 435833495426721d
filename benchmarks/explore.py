"""The explorer of faces on 140,000 frames: time to the first view, time of a filter, what is sent, memory.

python benchmarks/explore.py [--frames 140000]

The frames are made up: random labels in 500 videos, no image. The times are of a processor, in a process of its own,
which are those of the wall where nothing else runs; a filter is timed until everything it sends has been handed over.
A second measurement reads the same frames from files in the layout of Aff-Wild2, whose images are empty but for one."""
import argparse, shutil, subprocess, sys, tempfile, time
from pathlib import Path

import psutil


def made_up(n, seed=0):
    "A frames table of `n` frames."
    import numpy as np, pandas as pd
    from affect_nb.frames import make_frames
    from affect_nb.labels import AUS, EXPRS
    rng, videos = np.random.default_rng(seed), 500
    video = np.sort(rng.integers(0, videos, n))
    frame = np.arange(n) - np.searchsorted(video, video) + 1
    place = np.clip(rng.normal(0, .35, (2, n)), -1, 1)
    place[:, rng.random(n) < .2] = np.nan
    aus = {a: np.where(rng.random(n) < .2, np.nan, rng.integers(0, 2, n)) for a in AUS}
    return make_frames(pd.DataFrame(dict(
        image=[f'images/{v:03d}-30-1280x720/{f:05d}.jpg' for v, f in zip(video, frame)],
        video=[f'{v:03d}-30-1280x720' for v in video], frame=frame, split=np.where(video < 350, 'train', 'val'),
        valence=place[0], arousal=place[1], expr=np.array([*EXPRS, None], object)[rng.integers(0, 9, n)], **aus)),
        'aff_wild2')


def write_root(df, root):
    "The same frames as Aff-Wild2 has them; the images are empty files, but for the first."
    import numpy as np
    from affect_nb.data.drawing import draw_face, make_identity, save_jpeg
    from affect_nb.data.synthetic import HEADER, PART_FILES
    from affect_nb.labels import AUS
    images = root/'cropped_aligned'
    images.mkdir(parents=True)
    for video, part in df.groupby('video'):
        (images/video).mkdir()
        for f in part['frame']: (images/video/f'{f:05d}.jpg').touch()
    save_jpeg(draw_face(make_identity(0), np.zeros(12)), next(images.glob('*/*.jpg')), 80)
    place, aus = df[['valence', 'arousal']].fillna(-5).to_numpy(), df[list(AUS)].fillna(-1).astype(int).to_numpy()
    for split in ('train', 'val'):
        rows = (df['split'] == split).to_numpy().nonzero()[0]
        lines = [f"{df['video'].iat[i]}/{df['frame'].iat[i]:05d}.jpg,{place[i][0]:.4f},{place[i][1]:.4f},"
                 f"{df['expr'].cat.codes.iat[i]},{','.join(map(str, aus[i]))}" for i in rows]
        (root/PART_FILES[split]).write_text('\n'.join([HEADER, *lines]) + '\n')


FILTERS = [dict(expr='Fear'), dict(expr='', au='AU12'), dict(au='', split='val'), dict(split='', missing='V'),
           dict(missing='', task='AU'), dict(task='', video='0'), dict(video='123-30-1280x720'), dict(video='')]


def look(what):
    "Open, filter, measure: in this process, which must be fresh."
    started, began = time.perf_counter(), time.process_time()
    from affect_nb.explore.faces import Faces
    imported = time.process_time() - began
    import pandas as pd
    from affect_nb.frames import make_frames
    data = make_frames(pd.read_parquet(what)) if Path(what).is_file() else what
    opened, faces = timed(lambda: Faces(data))
    print(f'import                 {imported:7.2f} s   torch loaded: {"torch" in sys.modules}')
    print(f'first view             {opened:7.2f} s   {len(faces.rows):,} frames, {len(faces.gallery.shown)} faces')
    for view in ('Faces', 'Plane'):
        faces.show(view)
        took = [timed(lambda f=f: faces.show(**f))[0] for f in FILTERS]
        print(f'a filter, {view:7s}      {max(took):7.3f} s   at most; mean {sum(took) / len(took):.3f} s of '
              f'{len(took)}')
    state = sum(len(v) for v in faces.plane.get_state().values() if isinstance(v, bytes))
    kind, places = 'bins' if faces.plane.binned else 'points', len(faces.plane.rows) // 4
    print(f'plane                  {faces.plane.total:,} frames in {places:,} {kind}, {state:,} bytes sent')
    print(f'all so far             {time.perf_counter() - started:7.2f} s   of wall time')
    counted, _ = timed(lambda: faces.show('Counts'))
    print(f'counts                 {counted:7.2f} s')
    print(f'memory                 {psutil.Process().memory_info().rss / 2**20:7.0f} MB')


def timed(act):
    "Seconds that this process had a processor for, and what came of it."
    started = time.process_time()
    result = act()
    return time.process_time() - started, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--frames', type=int, default=140_000)
    parser.add_argument('--look', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.look: return look(args.look)
    folder = Path(tempfile.mkdtemp())
    try:
        df = made_up(args.frames)
        df.astype({'expr': object}).to_parquet(folder/'frames.parquet')
        write_root(df, folder/'root')
        for name, place in (('a frames table', folder/'frames.parquet'),
                            ('a root in the layout of Aff-Wild2', folder/'root')):
            print(f'\n{args.frames:,} frames from {name}', flush=True)
            subprocess.run([sys.executable, '-W', 'ignore', __file__, '--look', str(place)], check=True, cwd=folder)
    finally: shutil.rmtree(folder)


if __name__ == '__main__': main()
