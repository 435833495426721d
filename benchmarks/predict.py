"affect predict: frames per second, the model's batch, detection, memory, and the first answer of a new process."
import argparse, subprocess, sys, tempfile, time
from pathlib import Path

import av, cv2, numpy as np, psutil

from affect_nb.data.drawing import draw_face, make_identity, save_jpeg
from affect_nb.infer.analyzer import Analyzer
from affect_nb.infer.chain import DEFAULT
from affect_nb.infer.faces import YuNet
from affect_nb.infer.media import find_sources
from affect_nb.runs.profile import SHIPPED


def write_video(path, n):
    "A face of 200 pixels that wanders over a still room, 640×480, MPEG-4."
    room = cv2.resize(np.random.default_rng(0).integers(60, 200, (12, 16, 3), np.uint8), (640, 480),
                      interpolation=cv2.INTER_CUBIC)
    faces = [cv2.resize(draw_face(make_identity(1), dict(AU6=.03 * k, AU12=.05 * k), pose=(k - 10, 0, 0)), (200, 200))
             for k in range(21)]
    with av.open(str(path), 'w') as c:
        s = c.add_stream('mpeg4', rate=30)
        s.width, s.height, s.pix_fmt = 640, 480, 'yuv420p'
        for k in range(n):
            x, y = int(200 + 120 * np.sin(k / 40)), int(120 + 40 * np.cos(k / 30))
            image = room.copy()
            image[y:y + 200, x:x + 200] = faces[abs(k // 3 % 40 - 20)]
            c.mux(s.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        c.mux(s.encode())


def timed(work):
    "Seconds on the clock, and of the processor."
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def video(model, path, n):
    analyzer = Analyzer(model)
    analyzer(np.zeros((200, 200, 3), np.uint8))
    source, = find_sources([path])[0]
    memory, faces = {}, 0
    def run():
        nonlocal faces
        for piece in analyzer.pieces(source):
            faces += len(piece.rows)
            memory[piece.counts['frames']] = psutil.Process().memory_info().rss / 2**20
    clock, cpu = timed(run)
    first = min(k for k in memory if k >= min(1000, n))
    print(f'{n:,} frames, {faces:,} faces: {n / clock:.1f} frames/s; {n / cpu:.1f} a second of one core; '
          f'memory {memory[first]:.0f} MB after {first:,}, {memory[max(memory)]:.0f} MB after {max(memory):,}')
    return analyzer


def model_stage(analyzer):
    "Batches of 64 and of 1, in turns."
    size = analyzer.chain.size
    crops = [np.random.default_rng(k).integers(0, 255, (size, size, 3), np.uint8) for k in range(64)]
    batches = {64: [crops], 1: [[c] for c in crops]}
    took = {n: [] for n in batches}
    for _ in range(6):
        for n, parts in batches.items():
            took[n].append(timed(lambda: [analyzer.answers(*analyzer.features(p)[:2]) for p in parts])[0])
    one, many = (64 / np.median(took[n][1:]) for n in (1, 64))
    print(f'model: {many:.0f} faces/s in batches of 64, {one:.0f} one by one: {many / one:.2f} times')


def detection():
    frame = cv2.resize(draw_face(make_identity(1)), (200, 200))
    frame = cv2.copyMakeBorder(frame, 28, 28, 28, 28, cv2.BORDER_REPLICATE)
    yunet = YuNet()
    assert len(yunet.detect(frame)) == 1
    clock, cpu = timed(lambda: [yunet.detect(frame) for _ in range(300)])
    print(f'detection, frames of 256 pixels: {300 / clock:.0f} faces/s, {300 / cpu:.0f} a second of one core')


def cold(model, folder):
    save_jpeg(cv2.resize(draw_face(make_identity(1)), (640, 640)), folder/'photo.jpg')
    affect = Path(sys.executable).parent/'affect'
    command = [affect, 'predict', folder/'photo.jpg', '--model', model, '--out', folder/'a.csv']
    before = psutil.Process().cpu_times()
    clock = timed(lambda: subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL))[0]
    after = psutil.Process().cpu_times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    print(f'affect predict photo.jpg, a new process: {clock:.1f} s, {used:.1f} s of one core')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as d:
        folder = Path(d)
        write_video(folder/'video.mp4', args.frames)
        detection()
        for name, model in (("demo's model", SHIPPED), ('model in the package', DEFAULT)):
            if not (model/'config.json').is_file(): continue
            print(name)
            model_stage(video(model, folder/'video.mp4', args.frames))
            cold(model, folder)
