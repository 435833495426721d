"""Mangled annotation files, lists and images are read, or refused by one sentence: no other exception, no warning
turned crash."""
import io, random, sys, warnings

import numpy as np, pytest
from PIL import Image
from hypothesis import HealthCheck, given, settings, strategies as st

from affect_nb.data.aff_wild2 import read_mtl, read_mtl_list, read_per_video, write_mtl_submission
from affect_nb.data.faces import list_faces
from affect_nb.data.images import read_image
from affect_nb.files import InputError
from affect_nb.frames import targets
from affect_nb.labels import AUS

HEADER = 'image,valence,arousal,expression,aus\n'
LINE = '341/00001.jpg,-0.00233,0.0,7,0,0,0,0,0,1,0,0,0,-1,0,0\n'
CELLS = ['', ' ', '-5', '-1', '0', '1', '8', '1e400', 'nan', 'inf', '0x1', '1_0', '0,0', '"', '"0"', '٣', '\0', '\x0b',
         '\u2028', '\r', '\n', '\ufeff', '../x/00001.jpg',
         '..', '/etc/00001.jpg', '//host/share/00001.jpg', 'C:\\x\\00001.jpg', '%2e%2e/00001.jpg',
         '341/00001.jpg/../../1.jpg', '341/99999999999999999999.jpg',
         'x'*100_000, '9'*5_000, '-', '.', 'null', 'None', '=1+1']
BYTES = [b'\xff\xfe', b'\xe9', b'\xef\xbb\xbf', b'\0\0', b'\xc3\x28', b'\xed\xa0\x80']


def mangled(rnd):
    "A small annotation file with one to four kinds of damage."
    lines = [HEADER, *[LINE.replace('00001', f'{i:05d}') for i in range(1, 4)]]
    for _ in range(rnd.randint(1, 4)):
        i = rnd.randrange(len(lines)); cells = lines[i].rstrip('\n').split(',')
        kind = rnd.randrange(6)
        if kind == 0: cells[rnd.randrange(len(cells))] = rnd.choice(CELLS)
        elif kind == 1: del cells[rnd.randrange(len(cells))]
        elif kind == 2: cells.insert(rnd.randrange(len(cells) + 1), rnd.choice(CELLS))
        elif kind == 3: cells = [''.join(rnd.sample(lines[i], len(lines[i])))]
        elif kind == 4: cells = lines[i][:rnd.randrange(len(lines[i]) + 1)].split(',')
        lines[i] = ','.join(cells) + rnd.choice(['\n', '\r\n', '\r', '', ' \n'])
    data = ''.join(lines).encode(errors='surrogatepass')
    if rnd.random() < .2: at = rnd.randrange(len(data) + 1); data = data[:at] + rnd.choice(BYTES) + data[at:]
    if rnd.random() < .1: data = data.decode(errors='replace').encode('utf-16')
    return data


def reads_or_refuses(read, path):
    "The table, or None after an `InputError` of one line that names the file."
    try: return read(path)
    except InputError as e: assert path.name in str(e) and '\n' not in str(e) and len(str(e)) < 600, str(e)


def is_clean(df):
    "What was read is in range and stays under its root."
    y = targets(df)[:, :15]
    assert np.nanmax(abs(y[:, :2]), initial=0) <= 1 and np.isin(y[:, 3:][~np.isnan(y[:, 3:])], (0, 1)).all()
    assert not df['image'].str.contains(r'\\|^/|^\.|:').any() and (df['image'].str.count('/') == 1).all()


def fuzz(folder, trials, seed=0):
    rnd, good = random.Random(seed), 0
    for _ in range(trials):
        p = folder/'train_set.txt'; p.write_bytes(mangled(rnd))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore'); df = reads_or_refuses(read_mtl, p)
        if df is not None: is_clean(df); good += 1
        listed = reads_or_refuses(read_mtl_list, p)
        if listed is not None: is_clean(listed)
    assert 0 < good < trials # the damage is neither always fatal nor always harmless


def test_mangled_files(tmp_path): fuzz(tmp_path, 500)


@pytest.mark.slow
def test_mangled_files_long(tmp_path): fuzz(tmp_path, 20_000, seed=1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path, data):
    p = tmp_path/'train_set.txt'; p.write_bytes(HEADER.encode() + data); reads_or_refuses(read_mtl, p)
    p.write_bytes(data); reads_or_refuses(read_mtl, p); reads_or_refuses(read_mtl_list, p)
    p = tmp_path/'list.csv'; p.write_bytes(b'image\n' + data); reads_or_refuses(list_faces, p)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet='valencerou,AU1246-5.0 \n\r\0\ufeff', max_size=80), st.sampled_from(['VA', 'EXPR', 'AU']))
def test_any_per_video_text(tmp_path, text, task):
    names = dict(VA='VA_Estimation_Challenge', EXPR='EXPR_Recognition_Challenge', AU='AU_Detection_Challenge')
    p = tmp_path/names[task]/'Train_Set'/'341.txt'; p.parent.mkdir(parents=True, exist_ok=True)
    heads = dict(VA='valence,arousal', EXPR='Neutral,Anger', AU=','.join(AUS))
    for head in ('', heads[task] + '\n'):
        p.write_bytes((head + text).encode()); reads_or_refuses(lambda p: read_per_video(tmp_path, task, 'train'), p)


@pytest.mark.parametrize('name', [c for c in CELLS if '/' in c or '\\' in c
                                  or '..' in c] + ['a/b/00001.jpg', './00001.jpg', '.ssh/00001.jpg', '341/.jpg'])
def test_no_name_leaves_the_root(tmp_path, name):
    p = tmp_path/'train_set.txt'; p.write_text(HEADER + LINE.replace('341/00001.jpg', name), encoding='utf-8')
    if name == '%2e%2e/00001.jpg': return is_clean(read_mtl(p)) # only a name: nothing here decodes it
    with pytest.raises(InputError, match='line 2: image '): read_mtl(p)
    with pytest.raises(InputError, match='line 2: '): read_mtl_list(p)


def encoded(rng, fmt):
    f = io.BytesIO(); Image.fromarray(rng.integers(0, 255, (24, 20, 3),
                                                   dtype=np.uint8)).save(f, fmt); return f.getvalue()


def mangle_images(folder, trials, seed=0):
    resource = pytest.importorskip('resource')
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == 'darwin' else 2**20) # GB
    rng, p, seen, before = np.random.default_rng(seed), folder/'face.img', 0, peak()
    for fmt in ('JPEG', 'PNG', 'BMP', 'WEBP'):
        for _ in range(trials):
            data = np.frombuffer(encoded(rng, fmt), np.uint8).copy()
            at = rng.integers(len(data) if rng.random() < .5 else 40,
                              size=rng.integers(1, 6)); data[at] = rng.integers(256, size=len(at))
            p.write_bytes(data[:rng.integers(len(data))].tobytes() if rng.random() < .3 else data.tobytes())
            img = reads_or_refuses(lambda p: read_image(p, max_pixels=100_000), p)
            if img is not None: assert img.dtype == np.uint8 and img.ndim == 3 and img.size <= 300_000; seen += 1
    assert 0 < seen < 4*trials and peak() - before < .2 # a false length sets no memory aside


def test_mangled_images(tmp_path, capfd): mangle_images(tmp_path, 100)


@pytest.mark.slow
def test_mangled_images_long(tmp_path, capfd): mangle_images(tmp_path, 5_000, seed=1)


def test_a_refused_submission_leaves_nothing(tmp_path):
    (tmp_path/'MTL.txt').write_text(HEADER + '341/00001.jpg,\n341/00002.jpg,\n')
    (tmp_path/'train_set.txt').write_text(HEADER + LINE)
    with pytest.raises(InputError, match='341/00002.jpg'):
        write_mtl_submission(read_mtl(tmp_path/'train_set.txt'), tmp_path/'MTL.txt', tmp_path/'new/out.txt')
    assert not (tmp_path/'new').exists()
