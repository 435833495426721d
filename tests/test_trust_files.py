"What is read comes in by one gate: files that would hang, leak, or fill the memory are refused by one sentence."
import io, json, os, re, struct, subprocess, sys, zipfile

import numpy as np, pytest
from PIL import Image

from affect_nb.data import aff_wild2, affectnet, audio, bp4d, faces, project, raf_db, table
from affect_nb.data.check import check
from affect_nb.data.images import read_image
from affect_nb.files import InputError, read_cells, read_json, read_lines, read_npy, read_parquet, read_yaml
from affect_nb.infer.columns import read_predictions_of
from affect_nb.infer.media import read_picture
from affect_nb.models.encoder import read_checkpoint, read_config
from affect_nb.runs.profile import read_profile
from affect_nb.runs.record import read_record
from affect_nb.tables.own import own_rows
from common import ENV

SECRET = 'password=hunter2'
unix = pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no pipes and links here')


def rows(path): return list(read_cells(path))


READERS = {'a.txt': [read_lines, aff_wild2.read_mtl_lines, aff_wild2.listed_names, bp4d.read_codes],
           'a.csv': [rows, table.read_table, table.read_groups, audio.read_fps, affectnet.read_csv_2017,
                     faces.list_faces, own_rows, read_predictions_of],
           'a.yaml': [read_yaml, project.read_project_file, read_profile], 'a.json': [read_json], 'a.npy': [read_npy],
           'a.parquet': [read_parquet, read_predictions_of], 'a.jpg': [read_image, read_picture],
           'a.pth': [read_checkpoint],
           'a.safetensors': [read_checkpoint], 'config.json': [lambda p: read_config(p.parent)],
           'record.json': [lambda p: read_record(p.parent)]}
EACH = [pytest.param(name, read, id=f'{name}-{read.__name__}') for name, reads in READERS.items() for read in reads]


def refuses(read, path):
    "One printable line that is no longer than it may be."
    with pytest.raises(InputError) as e: read(path)
    said = str(e.value)
    assert said.isprintable() and len(said) <= 500 and SECRET not in said
    return said


@unix
@pytest.mark.parametrize('name, read', EACH)
def test_what_is_no_file(tmp_path, name, read):
    path = tmp_path/name
    for make in (os.mkfifo, lambda p: p.symlink_to('/dev/zero'), os.mkdir):
        make(path); refuses(read, path)
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize('name, read', EACH)
def test_bytes_that_mean_nothing(tmp_path, name, read):
    path = tmp_path/name
    for data in (b'\xff\xfe\0\0', b'[' * 60_000, b'{"a": ' * 9_000, b'9' * 5_000, b'\0' * 400, b'a,"b\n', b'"' * 3,
                 b'!!python/object/apply:os.getcwd []'):
        path.write_bytes(data)
        try: read(path)
        except InputError as e: assert str(e).isprintable() and len(str(e)) <= 500


@unix
def test_a_link_out_of_the_root(tmp_path):
    secret = tmp_path/'secret.txt'; secret.write_text(SECRET + '\nx\n')
    root = tmp_path/'set'
    def link(name):
        (root/name).parent.mkdir(parents=True, exist_ok=True)
        (root/name).symlink_to(secret); return root/name
    (root/'basic').mkdir(parents=True); (root/'1').mkdir()
    link('VA_Estimation_Challenge/Train_Set/341.txt')
    refuses(lambda r: aff_wild2.read_per_video(r, 'VA', 'train'), root)
    (root/'AU_Detection_Challenge').mkdir(); (root/'AU_Detection_Challenge'/'Train_Set').symlink_to(tmp_path)
    refuses(lambda r: aff_wild2.read_per_video(r, 'AU', 'train'), root)
    link('train_set.txt'); refuses(aff_wild2.read_mtl, root)
    link('basic/EmoLabel/list_patition_label.txt'); refuses(raf_db.read_basic, root)
    link('AU_OCC/F001_T1.csv'); (root/'F001').mkdir(); refuses(bp4d.read_bp4d, root)
    link('training.csv'); (root/'Manually_Annotated_Images').mkdir(); refuses(affectnet.read_affectnet, root)
    refuses(check, root)


def test_a_sentence_is_one_line(tmp_path):
    for text in ('image,valence\n\x1b[31m\x07,\u202e1\n', 'image,' + 'v' * 5_000 + '\n1,2\n', '\x1b]0;x\x07\n'):
        (tmp_path/'a.csv').write_text(text, encoding='utf-8'); refuses(table.read_table, tmp_path/'a.csv')


def deflated(data):
    f = io.BytesIO()
    with zipfile.ZipFile(f, 'w', zipfile.ZIP_DEFLATED) as z:
        z.writestr('x/data.pkl', b'\x80\x02}q\x00.'); z.writestr('x/data/0', data)
    return f.getvalue()


def jpeg(size, between=b''):
    f = io.BytesIO(); Image.new('RGB', (64, 64)).save(f, 'JPEG'); data = bytearray(f.getvalue())
    at = re.search(b'\xff\xc0\0\x11\x08', data).end(); data[at:at + 4] = struct.pack('>HH', size, size)
    return bytes(data[:2]) + between + bytes(data[2:])


def bmp(size, head=40):
    return b'BM' + struct.pack('<IHHIIiiHH', 0, 0, 0, 14 + head, head, size, size, 1, 24) + bytes(head - 16 + 64)


ALIASES = [b'a%d: &a%d [%s]\n' % (i, i, b', '.join([b'*a%d' % (i - 1)] * 9)) for i in range(1, 9)]
BOMBS = {'aliases.yaml': ('read_yaml', b'a0: &a0 [x, x]\n' + b''.join(ALIASES)),
         'deep.yaml': ('read_yaml', b'[' * 60_000), 'deep.json': ('read_json', b'[' * 9_000_000),
         'long.csv': ('read_lines', b'x' * 20_000_000),
         'zeros.pth': ('read_checkpoint', lambda: deflated(bytes(300_000_000))),
         'head.safetensors': ('read_checkpoint', struct.pack('<Q', 1 << 40) + b'{}'),
         'shape.npy': ('read_npy', b"\x93NUMPY\x01\0\x76\0{'descr': '<f8', 'fortran_order': False, 'shape': "
                                   b"(99999999999,), }" + b' ' * 50 + b'\n'),
         'markers.jpg': ('read_image', lambda: jpeg(30_000, b'\xff\xd0\xff\x01\xff\xd8')),
         'plain.jpg': ('read_image', lambda: jpeg(60_000)),
         'header.bmp': ('read_image', bmp(30_000, 268)), 'core.bmp': ('read_image', bmp(-30_000, 108))}
CODE = '''import resource, sys, time
from pathlib import Path
from affect_nb.files import *
from affect_nb.data.images import read_image
if sys.argv[2] == 'read_checkpoint': from affect_nb.models.encoder import read_checkpoint
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
for path in sorted(Path(sys.argv[1]).iterdir()):
    try: globals()[sys.argv[2]](path); print(path.name, 'was read')
    except InputError: pass
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10
    print(path.name, memory, time.process_time() - began, file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10, time.process_time() - began)'''


@pytest.mark.skipif(sys.platform != 'linux', reason='memory is counted otherwise')
@pytest.mark.parametrize('read', sorted({r for r, _ in BOMBS.values()}))
def test_bombs(tmp_path, read):
    mine = {n: d for n, (r, d) in BOMBS.items() if r == read}
    for name, data in mine.items(): (tmp_path/name).write_bytes(data() if callable(data) else data)
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', CODE, str(tmp_path), read], env=ENV,
                          capture_output=True, text=True, timeout=200)
    *was_read, last = done.stdout.splitlines() or ['']
    assert done.returncode == 0 and not was_read, done.stdout + done.stderr[-2000:]
    mb, seconds = map(float, last.split())
    assert mb < 300 and seconds < 3 * len(mine), done.stderr


def test_the_decoder_has_the_limit_wherever_the_library_is_imported_first():
    code = ("import affect_nb, cv2, numpy as np\n"
            "try: print(cv2.imdecode(np.frombuffer(bytes.fromhex('%s'), np.uint8), 1))\n"
            "except cv2.error as e: print('MAX_IMAGE_PIXELS' in str(e))")
    done = subprocess.run([sys.executable, '-c', code % bmp(30_000).hex()], env=ENV, capture_output=True, text=True,
                          timeout=100)
    assert 'True' in done.stdout or 'MAX_IMAGE_PIXELS' in done.stderr, done.stdout + done.stderr


def test_half_a_jpeg_with_an_end(tmp_path):
    from affect_nb.data.check import check_images
    rng = np.random.default_rng(0)
    for k in range(4):
        f, noise = io.BytesIO(), rng.integers(0, 255, (112, 112, 3), dtype=np.uint8)
        Image.fromarray(noise).save(f, 'JPEG', progressive=k > 1)
        data = f.getvalue()
        (tmp_path/f'{k}.jpg').write_bytes(data if k % 2 else data[:len(data) * 2 // 3] + b'\xff\xd9')
    problems = check_images([str(tmp_path/f'{k}.jpg') for k in range(4)])[1]
    assert sorted(re.search(r'(\d)\.jpg', p)[1] for p in problems) == ['0', '2']
