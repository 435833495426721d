"Pictures and videos in, a table out: what `affect predict` reads, refuses, skips, and goes on with."
import json, os, shutil, signal, subprocess, time, wave

import av, cv2, numpy as np, pandas as pd, pytest

from affect_nb.data.drawing import draw_face, make_identity, save_jpeg
from affect_nb.infer.analyzer import Analyzer
from affect_nb.infer.annotate import annotate
from affect_nb.infer.media import read_picture
from affect_nb.runs.profile import SHIPPED
from common import AFFECT, ENV, ROOT, run_python


def scene(person, smile=0., wall=180, size=(320, 240)):
    image = np.full((size[1], size[0], 3), wall, np.uint8)
    face = draw_face(make_identity(person), dict(AU6=.6 * smile, AU12=smile), background=(wall,) * 3)
    image[40:200, 60:220] = cv2.resize(face, (160, 160), interpolation=cv2.INTER_CUBIC)
    return image


def write_clip(path, images, rate=25, sound=False):
    with av.open(str(path), 'w') as c:
        v = c.add_stream('mpeg4', rate=rate)
        v.width, v.height, v.pix_fmt, v.bit_rate = images[0].shape[1], images[0].shape[0], 'yuv420p', 2_000_000
        if sound: a = c.add_stream('aac', rate=44_100, layout='mono')
        for image in images: c.mux(v.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        for k in range(0, int(len(images) / rate * 44_100) if sound else 0, 1024):
            f = av.AudioFrame.from_ndarray(np.sin(np.arange(k, k + 1024) * .06).astype(np.float32)[None], format='fltp',
                                           layout='mono')
            f.rate, f.pts = 44_100, k
            c.mux(a.encode(f))
        c.mux(v.encode())
        if sound: c.mux(a.encode())
    return path


@pytest.fixture(scope='module')
def mixed(tmp_path_factory):
    "A folder of everything."
    d = tmp_path_factory.mktemp('mixed')
    save_jpeg(scene(1, .8), d/'Ünïcode 顔 фото.jpg')
    shutil.copyfile(ROOT/'tests'/'files'/'face.heic', d/'phone.heic')
    save_jpeg(np.full((600, 800, 3), 90, np.uint8), d/'nobody.jpg')
    write_clip(d/'clip.mov', [scene(1, k / 10) for k in range(10)] + [scene(9, 0, 60)] * 10)
    save_jpeg(scene(9), d/'photo.jpg')
    os.rename(d/'photo.jpg', d/'picture.mp4')
    (d/'empty.jpg').write_bytes(b'')
    (d/'notes.txt').write_text('hello')
    (d/'half.png').write_bytes(cv2.imencode('.png', scene(1))[1].tobytes()[:3000])
    with wave.open(str(d/'song.mp4'), 'wb') as w: w.setparams((1, 2, 8000, 0, 'NONE', '')); w.writeframes(bytes(8000))
    (d/'.hidden').mkdir()
    save_jpeg(scene(1), d/'.hidden'/'not.jpg')
    return d


def test_a_folder_of_everything(here, mixed, tmp_path):
    done = here('predict', mixed, '--model', SHIPPED, '--out', tmp_path/'a.parquet')
    assert done.returncode == 0, done.stderr
    df = pd.read_parquet(tmp_path/'a.parquet')
    faces = df.groupby(df['source'].str.rpartition('/')[2]).size().to_dict()
    assert faces == {'Ünïcode 顔 фото.jpg': 1, 'phone.heic': 1, 'picture.mp4': 1, 'clip.mov': 20}
    assert df[df['source'].str.endswith('clip.mov')]['person'].tolist() == [1] * 10 + [2] * 10
    told = json.loads((tmp_path/'a.json').read_text(encoding='utf-8'))
    assert {os.path.basename(k) for k in told['skipped']} == {'empty.jpg', 'notes.txt', 'half.png', 'song.mp4'}
    assert '4 skipped' in done.stdout and '1 frames without a face' in done.stdout
    assert sorted(os.listdir(tmp_path)) == ['a.json', 'a.parquet']
    assert list(df)[:9] == ['source', 'frame', 'time_s', 'person', 'x', 'y', 'w', 'h', 'detection_score']
    again = here('predict', mixed, '--model', SHIPPED, '--out', tmp_path/'a.csv', '--tasks', 'AU,V')
    assert again.returncode == 0
    assert not [c for c in pd.read_csv(tmp_path/'a.csv') if c.startswith(('expr', 'arousal', 'compound'))]


@pytest.mark.parametrize('args, says', [
    (['{d}/song.mp4'], 'a sound file'),
    (['{d}/notes.txt'], 'neither a picture nor a video'),
    (['{d}/empty.jpg'], 'neither a picture nor a video'),
    (['{d}/half.png'], 'cut short'),
    (['{d}/nowhere.jpg'], 'no such file'),
    (['{d}/*.xyz'], 'no such file'),
    (['{d}/clip.mov', '--tasks', 'CE'], 'not for CE'),
    (['{d}/clip.mov', '--tasks', 'smile'], 'unknown task'),
    (['{d}/clip.mov', '--out', '{t}/a.xlsx'], '.parquet or .csv'),
    (['{d}/clip.mov', '--out', '{t}/mine.csv'], 'no table of answers'),
    (['{d}/clip.mov', '--out', '{t}/mine.csv/a.csv'], 'another place'),
    (['{d}/clip.mov', '--annotate', '{t}/a.avi'], '.mp4 or .webm'),
    (['{d}/picture.mp4', '--annotate', '{t}/a.mp4'], 'give one'),
    (['{d}/clip.mov', '--max-frames', '5'], '--max-frames'),
    (['{d}/clip.mov', '--detector', 'nobody:Knows'], "can't import"),
    (['{d}/clip.mov', '--model', '{d}'], 'config.json'),
])
def test_one_sentence(here, mixed, tmp_path, args, says):
    (tmp_path/'mine.csv').write_text('name,score\nme,1\n')
    args = [a.format(d=mixed, t=tmp_path) for a in args]
    for option, value in (('--model', SHIPPED), ('--out', tmp_path/'new.csv')):
        if option not in args: args += [option, value]
    done = here('predict', *args)
    assert done.returncode == 2 and says in done.stderr and 'Traceback' not in done.stderr, done.stderr
    assert len([l for l in done.stderr.splitlines() if l.startswith('affect: ')]) == 1
    assert (tmp_path/'mine.csv').read_text() == 'name,score\nme,1\n'


def test_nobody(here, mixed, tmp_path):
    done = here('predict', mixed/'nobody.jpg', '--model', SHIPPED, '--out', tmp_path/'a.csv')
    assert done.returncode == 0 and 'no face was found' in done.stdout
    assert len(pd.read_csv(tmp_path/'a.csv')) == 0


def test_a_small_picture_without_a_face_is_taken_whole(tmp_path):
    rng = np.random.default_rng(0)
    save_jpeg(rng.integers(90, 120, (48, 48, 3), np.uint8), tmp_path/'small.jpg')
    df = Analyzer(SHIPPED)(tmp_path/'small.jpg')
    assert df['flag'].str.startswith('whole').all() and df['detection_score'].isna().all()
    assert df[['w', 'h']].values.tolist() == [[48, 48]]


def test_heic():
    image = read_picture(ROOT/'tests'/'files'/'face.heic')
    assert np.abs(image.astype(float) - draw_face(make_identity(1), dict(AU6=.5, AU12=.8))).mean() < 4


def test_killed_in_the_middle_of_a_video(tmp_path):
    "The same command goes on behind what it has written, and the table is that of an undisturbed call."
    images = [scene(1, k / 10) for k in range(10)] + [scene(9, 0, 60)] * 10
    write_clip(tmp_path/'long.mp4', images * 35)
    command = [AFFECT, 'predict', tmp_path/'long.mp4', '--model', SHIPPED, '--out']
    subprocess.run([*command, tmp_path/'whole.parquet'], env=ENV, check=True, capture_output=True, timeout=600)
    part = tmp_path/'again.parquet.part'
    job = subprocess.Popen([*command, tmp_path/'again.parquet'], env=ENV, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    deadline = time.time() + 300
    while not (part/'000000-000001.parquet').exists() and job.poll() is None and time.time() < deadline: time.sleep(.05)
    job.send_signal(signal.SIGKILL)
    job.wait()
    pieces = len(list(part.glob('0*.parquet')))
    assert pieces >= 2 and not (tmp_path/'again.parquet').exists()
    subprocess.run([*command, tmp_path/'again.parquet'], env=ENV, check=True, capture_output=True, timeout=600)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path/'again.parquet'), pd.read_parquet(tmp_path/'whole.parquet'),
                                  check_exact=True)
    assert not part.exists()


def test_damaged_frames_are_counted(here, tmp_path):
    data = bytearray(write_clip(tmp_path/'clip.mp4', [scene(1, k / 30) for k in range(30)]).read_bytes())
    at = data.index(b'mdat') + len(data) // 3
    data[at:at + 700] = bytes(700)
    (tmp_path/'clip.mp4').write_bytes(data)
    done = here('predict', tmp_path/'clip.mp4', '--model', SHIPPED, '--out', tmp_path/'a.csv')
    assert done.returncode == 0 and 'damaged frames were left out' in done.stdout
    assert pd.read_csv(tmp_path/'a.csv')['frame'].max() == 30


def test_no_scheduler_and_nothing_of_one_system(mixed):
    code = ("import sys\nfor m in ('parsl', 'fcntl', 'resource'): sys.modules[m] = None\n"
            "from affect_nb.infer.analyzer import Analyzer\nimport affect_nb.infer.answers, affect_nb.infer.annotate\n"
            f"print(len(Analyzer({str(SHIPPED)!r})({str(mixed/'picture.mp4')!r})), 'fastai' in sys.modules)")
    assert run_python('-W', 'ignore', '-c', code).split() == ['1', 'False']


@pytest.mark.browser
@pytest.mark.parametrize('name', ['out.mp4', 'out.webm'])
def test_a_browser_shows_the_annotated_video(name, tmp_path):
    browser = next(filter(None, map(shutil.which, ('chromium', 'chromium-headless-shell', 'google-chrome'))), None)
    if not browser: pytest.skip('Chromium is not installed')
    images = [scene(1, k / 20) for k in range(20)]
    video = write_clip(tmp_path/'clip.mp4', images, sound=True)
    annotate(video, Analyzer(SHIPPED)(video), tmp_path/name)
    (tmp_path/'page.html').write_text(f'''<video id=v muted></video><p id=r>nothing</p><script>
        v.onloadeddata = () => {{ r.textContent = `loaded ${{v.videoWidth}} ${{v.duration.toFixed(1)}}` }}
        v.onerror = () => {{ r.textContent = v.error.message }}
        v.src = '{name}'; v.play()</script>''')
    page = subprocess.run([browser, '--headless', '--no-sandbox', '--disable-gpu', '--timeout=20000', '--dump-dom',
                           (tmp_path/'page.html').as_uri()],
                          capture_output=True, text=True, timeout=120).stdout
    assert '>loaded 320 0.8<' in page, page


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(tmp_path):
    code = ("import psutil, sys\nfrom affect_nb.infer.analyzer import Analyzer\n"
            "from affect_nb.infer.media import find_sources\n"
            "a, n, at = Analyzer(sys.argv[1]), 0, {}\n"
            "for piece in a.pieces(find_sources([sys.argv[2]])[0][0]):\n"
            "    n = piece.counts['frames']; at[n] = psutil.Process().memory_info().rss / 2**20\n"
            "print(at[1024], at[max(at)], max(at))")
    write_clip(tmp_path/'long.mp4', [scene(1, k / 100) for k in range(100)] * 100)
    early, late, frames = map(float, run_python('-W', 'ignore', '-c', code, SHIPPED, tmp_path/'long.mp4').split())
    assert frames == 10_000 and late - early < 50, (early, late)
