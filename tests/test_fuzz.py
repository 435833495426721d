"""Files as a grammar makes them, with one to four faults: they are read, or refused by one sentence, soon, and with
little memory.

500 files in all in `make test`, 20,000 in `make test-all`. What is refused and how is shown where the readers are;
here only that nothing else can happen."""
import contextlib, copy, hashlib, io, json, os, pickle, random, struct, sys, tempfile, time, warnings, zipfile, zlib
from functools import cache
from pathlib import Path

import numpy as np, pytest, torch, yaml
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image
from safetensors.torch import save as save_tensors

from affect_nb.data.aff_wild2 import read_mtl, read_mtl_list, read_per_video
from affect_nb.data.affectnet import read_csv_2017, read_npy_2021
from affect_nb.data.audio import read_fps
from affect_nb.data.bp4d import read_codes
from affect_nb.data.c_expr import read_test_list
from affect_nb.data.corrections import read_corrections
from affect_nb.data.faces import list_faces
from affect_nb.data.images import read_image
from affect_nb.data.project import read_project_file
from affect_nb.data.raf_db import RAF_CLASSES, read_list
from affect_nb.data.table import read_groups, read_table
from affect_nb.files import InputError, read_npy
from affect_nb.infer.challenge import read_challenge
from affect_nb.infer.columns import read_predictions_of
from affect_nb.infer.media import read_picture
from affect_nb.labels import AUS, COMPOUNDS
from affect_nb.models.affect import AffectModel, load_model
from affect_nb.models.encoder import create_encoder, read_checkpoint, read_config, save_model
from affect_nb.runs.privacy import read_notebook
from affect_nb.runs.profile import PACKAGE, read_profile
from affect_nb.runs.record import read_predictions, read_pruned, read_record, verify, write_record
from affect_nb.tables.own import own_rows

SECONDS, MEGABYTES, LONGEST = 2, 500, 600

# What may stand in a cell, or be a value

CELLS = ['', ' ', '-5', '-1', '0', '1', '8', '-0.0', '1e400', 'nan', 'inf', '0x1', '1_0', '0,0', '"', '"0"', '٣', '\0',
         '\x0b', '\u2028', '\r', '\n', '\ufeff', '\x1b[2J', '\u202e', '..', '/etc/passwd',
         '../x/00001.jpg', '//host/share/x.jpg', 'C:\\x\\00001.jpg', '%2e%2e/x.jpg', 'a/../../x.jpg',
         '1/99999999999999999999.jpg', 'x' * 3_000, '9' * 500, '-', '.', 'null', 'None', '=1+1', '@x', '${HOME}',
         'os:system', 'builtins:eval', 'hf-hub:who/what', '!!python/object/apply:os.system', '&a *a', '[[[[', '{',
         'a: b: c', '- -', '12:30:45', '2020-01-01', '1e', 'é', '\udc80']
VALUES = [None, True, False, 0, -1, 1, 2**31, 2**63, -2**70, 10**30, .5, -1., 1e308, float('nan'), float('inf'), [], {},
          [[]], [{}], {'': 0}, ['V'], [[1, 2], [3]], [1] * 200, {'a': {'b': {'c': {}}}}, *CELLS]
NAMES = ['epochs', 'digest', 'seal', 'files', 'metrics', 'kind', 'base', 'encoder', 'params', 'format', 'shape',
         'dtype', 'data_offsets', '__metadata__', 'rows', 'img_size', 'name', '<<', '__class__', '']


def changed(rnd, value, times):
    "The same value with a few changes somewhere inside."
    value = copy.deepcopy(value)
    def another(): return copy.deepcopy(rnd.choice(VALUES)) # which may be changed, too
    for _ in range(times):
        at, key = value, None
        while isinstance(at, (dict, list)) and at and (key is None or rnd.random() < .7):
            parent, key = at, rnd.choice(list(at) if isinstance(at, dict) else range(len(at)))
            at = parent[key]
        if key is None: return another()
        kind = rnd.randrange(4)
        if kind == 0: parent[key] = another()
        elif kind == 1: del parent[key]
        elif kind == 2 and isinstance(parent, dict): parent[rnd.choice(NAMES)] = another()
        elif kind == 2: parent.insert(rnd.randrange(len(parent) + 1), another())
        else: parent[key] = [parent[key]] * rnd.choice([2, 50])
    return value


def faults(rnd): return rnd.choice([0, 1, 1, 1, 2, 3, 4])


def rows_of(rnd, header, line, times, comma=','):
    "A table of text with a few changes in its cells."
    lines = [header.split(comma), *([c.replace('00001', f'{i:05}') for c in line.split(comma)] for i in range(1, 4))]
    for _ in range(times):
        cells = rnd.choice(lines)
        kind, at = rnd.randrange(4), rnd.randrange(len(cells) + 1)
        if kind < 2 and cells: cells[at % len(cells)] = rnd.choice(CELLS)
        elif kind == 2 and cells: del cells[at % len(cells)]
        else: cells.insert(at, rnd.choice(CELLS))
    return ''.join(comma.join(cells) + rnd.choice(['\n'] * 60 + ['\r\n', '\r', '', '\n\n'])
                   for cells in lines).encode(errors='surrogatepass')


def bent(rnd, data):
    "Bytes, now and then cut short, with others in them, or in another encoding."
    kind, at = rnd.randrange(20), rnd.randrange(len(data) + 1)
    if kind == 0: return data[:at]
    if kind == 1:
        return data[:at] + rnd.choice([b'\xff\xfe', b'\xe9', b'\0\0', b'\xef\xbb\xbf', b'\xed\xa0\x80',
                                       b'\r']) + data[at:]
    if kind == 2: return data[:at] + bytes(rnd.randrange(256) for _ in range(4)) + data[at + 4:]
    if kind == 3: return data.decode(errors='replace').encode('utf-16')
    return data


def as_json(rnd, value): return bent(rnd, json.dumps(value).encode())


def as_yaml(rnd, value):
    if rnd.random() < .1:
        return bent(rnd, rnd.choice([b'a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]',
                                     b'!!python/object/apply:os.system ["echo"]', b'[' * 500, b'? a\n: b',
                                     b'a: 1\na: 2', b'%YAML 9.9\n---\n', b'--- 1\n--- 2']))
    return bent(rnd, yaml.safe_dump(value, allow_unicode=True).encode(errors='surrogatepass'))


# A valid file of each format: the folder, its name, how it is written, and who reads it

MTL, LINE = 'image,valence,arousal,expression,aus', '341/00001.jpg,-0.00233,0.0,7,0,0,0,0,0,1,0,0,0,-1,0,0'
PER_VIDEO = dict(VA=('VA_Estimation_Challenge', 'valence,arousal', '-0.5,0.25'),
                 EXPR=('EXPR_Recognition_Challenge', 'Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other',
                       '3'),
                 AU=('AU_Detection_Challenge', ','.join(AUS), ','.join('01' * 6)))


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def annotations(rnd, root):
    kind, n = rnd.randrange(8), faults(rnd)
    if kind < 3: return read_mtl, write(root/'train_set.txt', bent(rnd, rows_of(rnd, MTL, LINE, n)))
    def made(file, *how): return write(root/file, bent(rnd, rows_of(rnd, *how)))
    if kind == 3:
        header, line = ','.join(map(str, [0, *range(1, 28)])), ','.join(['00001'] + ['0', '9', '1'] * 9)
        return read_codes, made('F001_T1.csv', header, line, n)
    if kind == 4:
        file = made('EmoLabel/list_patition_label.txt', 'train_00001.jpg 5', 'test_00001.jpg 2', n, ' ')
        return (lambda f: read_list(root, RAF_CLASSES['basic'])), file
    if kind == 5:
        header = ('subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,'
                  'valence,arousal')
        return read_csv_2017, made('training.csv', header, '1/00001.jpg,1,1,50,50,1;2,3,0.1,0.2', n)
    task = rnd.choice(list(PER_VIDEO))
    folder, header, line = PER_VIDEO[task]
    name = rnd.choice(['341.txt', '341_left.txt', '..x.txt'])
    return (lambda f: read_per_video(root, task, 'train')), made(f'{folder}/Train_Set/{name}', header, line, n)


def lists(rnd, root):
    kind, n = rnd.randrange(4), faults(rnd)
    if kind == 0: return read_mtl_list, write(root/'MTL.txt', bent(rnd, rows_of(rnd, MTL, '341/00001.jpg', n)))
    if kind == 1:
        header = ','.join(['image_location', *(c.replace(' ', '_') for c in COMPOUNDS)])
        return read_test_list, write(root/'list.txt', bent(rnd, rows_of(rnd, header, '01/00001.jpg', n)))
    return list_faces, write(root/'faces.csv', bent(rnd, rows_of(rnd, 'image', 'a/00001.jpg', n)))


def csv_files(rnd, root):
    n = faults(rnd)
    header, line, read = rnd.choice([
        ('image,video,group,split,valence,arousal,expr,AU1', '00001.jpg,v,g,train,0.1,-0.2,Anger,1', read_table),
        ('video,group', 'v00001,g1', lambda f: read_groups(f, root)), ('video,fps', 'v00001,25', read_fps),
        ('row,task,baseline,S,temporal,loss', 'a00001,V,3.8,5,lstm,', own_rows),
        ('source,image,label,old,new,who,when', 'aff_wild2,00001.jpg,expr,Anger,Fear,me,2024-01-01', read_corrections),
        ('image,valence,arousal', '341/00001.jpg,0.1,-0.2', lambda f: read_predictions_of(f, {}))])
    return read, write(root/'table.csv', bent(rnd, rows_of(rnd, header, line, n)))


TEMPLATES = sorted((PACKAGE/'challenges').glob('*.yaml'))


def yaml_files(rnd, root):
    n = faults(rnd)
    for name in ('x', 'a', 'b', 's'): (root/name).mkdir()
    for name in ('t.csv', 'g.csv'): (root/name).write_text('video,group\nv,g\n')
    np.save(root/'s'/'v.npy', np.zeros((3, 2), np.float32))
    project = dict(aff_wild2='.', raf_db='x', faces=['a', 'b'], table='t.csv', groups='g.csv',
                   audio=dict(features='s', rate=50, fps=30))
    template = yaml.safe_load(rnd.choice(TEMPLATES).read_text(encoding='utf-8'))
    value, read = rnd.choice([(project, read_project_file), (template, read_challenge)])
    return read, write(root/'data.yaml', as_yaml(rnd, changed(rnd, value, n)))


def profiles(rnd, root):
    value = dict(base='smoke', rows=['3.8'], seeds=2, rerun='never', pretrain=dict(epochs=5, lr=1e-3, mask_ratio=.75),
                 mtl=dict(epochs=2, tune='head', batch_size=64, single=dict(epochs=1)), ce=dict(extra={}),
                 embedded=dict(train=5))
    if rnd.random() < .1: value['base'] = str(root/'mine.yaml')
    return read_profile, write(root/'mine.yaml', as_yaml(rnd, changed(rnd, value, faults(rnd))))


NOTEBOOK = dict(cells=[dict(cell_type='code', source='x', metadata=dict(tags=['a']), outputs=[])], metadata={},
                nbformat=4, nbformat_minor=5)


def records(rnd, root):
    part = dict(score=.5, present=.5, lo=.4, hi=.6, scored=100, groups=5)
    write(root/'log.csv', b'x\n'), write(root/'predictions.parquet', bent(rnd, b'PAR1' + bytes(50) + b'PAR1'))
    value = dict(name='V-0a1b2c3d', kind='mtl', digest='0' * 64, code='', seed=0, params=dict(tasks=['V']),
                 call=dict(profile='smoke'), features=[], data=dict(embedded=True), notes=[], others=[],
                 upstream=dict(run='x', digest='1'), losses=dict(first=1., last=.5), seconds=dict(total=1.),
                 peak_memory_mb=100,
                 metrics=dict(V=dict(metric='ccc_v', epoch=2, ours=part, cross_fit=None, held_out=None, constant=0.,
                                     post={})))
    value = changed(rnd, write_record(root, value), faults(rnd))
    if isinstance(value, dict) and rnd.random() < .7: # the seal keeps nobody out who can compute it
        said = {k: v for k, v in value.items() if k != 'seal'}
        value['seal'] = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    write(root/'pruned.json', as_json(rnd, value))
    notebook = write(root/'run.ipynb', as_json(rnd, changed(rnd, NOTEBOOK, 2)))
    def read(file):
        read_pruned(root)
        with contextlib.suppress(InputError): read_notebook(notebook)
        record = read_record(root)
        with contextlib.suppress(InputError): read_predictions(root, 'val', 'V')
        return record and verify(root, record)
    text = json.dumps(value, indent=1, ensure_ascii=False) # as records are written
    return read, write(root/'record.json', bent(rnd, text.encode(errors='surrogatepass')))


TINY = dict(img_size=32, patch_size=16, embed_dim=16, depth=1, num_heads=2)


@cache
def model():
    "The files of a small saved model."
    with tempfile.TemporaryDirectory() as folder:
        save_model(AffectModel(create_encoder(TINY, 32), ['V', 'EXPR']), folder)
        return {f.name: f.read_bytes() for f in Path(folder).iterdir()}


def configurations(rnd, root):
    value = json.loads(model()['config.json'])
    write(root/'model.safetensors', bent(rnd, model()['model.safetensors']))
    def read(file):
        read_config(root)
        return load_model(root)
    return read, write(root/'config.json', as_json(rnd, changed(rnd, value, faults(rnd))))


class Evil:
    "Code, as soon as it is unpickled."
    def __init__(self, mark): self.mark = mark
    def __reduce__(self): return exec, (f'open({self.mark!r}, "w").close()',)


def checkpoints(rnd, root):
    kind, n = rnd.randrange(4), faults(rnd)
    if kind < 2: # safetensors
        header = changed(rnd, {'a': dict(dtype='F32', shape=[2, 2], data_offsets=[0, 16]),
                               'b': dict(dtype='I64', shape=[1], data_offsets=[16, 24]), '__metadata__': dict(x='y')},
                               n)
        text = json.dumps(header).encode()
        size = rnd.choice([len(text)] * 5 + [0, 2**63, 2**40, len(text) + 100])
        return read_checkpoint, write(root/'x.safetensors', bent(rnd, struct.pack('<Q', size) + text + bytes(24)))
    if kind == 2: # torch's zip, with something in it that is no tensor
        evil = Evil(str(root.parent/'ran'))
        b = rnd.choice([evil, VALUES[rnd.randrange(14)], torch.zeros(3)])
        file, state = io.BytesIO(), dict(model=dict(a=torch.zeros(2, 2), b=b))
        torch.save(state, file)
        return read_checkpoint, write(root/'x.pth', bent(rnd, file.getvalue()))
    if rnd.random() < .5:
        return read_checkpoint, write(root/'x.pt', bent(rnd, pickle.dumps(Evil(str(root.parent/'ran')))))
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as z: # much of nothing
        z.writestr('x/data.pkl', bytes(rnd.choice([10, 10**6])))
        z.writestr('x/version', '3')
        z.writestr('x/data/0', bytes(3 * 10**7))
    return read_checkpoint, write(root/'x.bin', bent(rnd, file.getvalue()))


ODD = dict(
    descr=["'|O'", "'<f8'", "'>i2'", "'<U99999999'", "'|V0'", "[('a', '<f4')]", "'<M8[s]'", '7', "'<c16'"],
    order=['True', '1', 'None'],
    shape=['(3,)', '()', '(0,)', '(-1,)', '(10000000000,)', '(3, 10**12)', '(3, 1000000000000)', '(1,) * 99', '(True,)',
           '"x"', '(3,' * 300, "__import__('os')"],
    version=[b'\2\0', b'\3\0', b'\0\0'], size=[0, 1, 65_535], body=[0, 4, 24, 200])


def arrays(rnd, root):
    alone = rnd.random() < .5
    it = dict(descr="'<f4'", order='False', shape='(3,)' if alone else '()', version=b'\1\0', size=None,
              body=12 if alone else 4)
    for field in rnd.sample(list(ODD), min(3, faults(rnd))): it[field] = rnd.choice(ODD[field])
    long = it['version'] != b'\1\0'
    header = f"{{'descr': {it['descr']}, 'fortran_order': {it['order']}, 'shape': {it['shape']}, }}".encode()
    header += b' ' * (-(len(header) + (13 if long else 11)) % 64) + b'\n'
    size = struct.pack('<I' if long else '<H', len(header) if it['size'] is None else it['size'])
    data = bent(rnd, b'\x93NUMPY' + it['version'] + size + header + bytes(it['body']))
    if alone: return read_npy, write(root/'x.npy', data)
    write(root/'images'/'1.jpg', b'x')
    for part in ('exp', 'val', 'aro', 'lnd'): write(root/'annotations'/f'1_{part}.npy', data)
    return (lambda f: read_npy_2021(root)), root/'annotations'/'1_exp.npy'


def picture(fmt):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)).save(file, fmt)
    return file.getvalue()


PICTURES = {fmt: picture(fmt) for fmt in ('JPEG', 'PNG', 'BMP', 'WEBP', 'GIF', 'TIFF')}


def images(rnd, root):
    fmt = rnd.choice(list(PICTURES))
    data = bytearray(PICTURES[fmt])
    for _ in range(rnd.randint(1, 4)):
        at = rnd.randrange(min(len(data), 60) if rnd.random() < .7 else len(data))
        data[at] = rnd.choice([0, 1, 127, 255, rnd.randrange(256)])
    if fmt == 'JPEG' and rnd.random() < .3:
        data[2:2] = rnd.choice([b'\xff\x01', b'\xff\xd0', b'\xff\xff\xff', b'\xff\xfe\0\2',
                                b'\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1'])
    if fmt == 'PNG' and rnd.random() < .3: # a large size with its checksum
        data[16:24] = struct.pack('>II', rnd.choice([1, 2**16, 2**31 - 1]), rnd.choice([1, 2**16, 2**31 - 1]))
        data[29:33] = struct.pack('>I', zlib.crc32(data[12:29]))
    if rnd.random() < .2: data = data[:rnd.randrange(len(data))]
    return rnd.choice([lambda f: read_image(f, max_pixels=100_000),
                       read_picture]), write(root/rnd.choice(['x.jpg', 'x.png', 'x']), bytes(data))


FORMATS = dict(annotations=annotations, lists=lists, csv=csv_files, yaml=yaml_files, profiles=profiles, records=records,
               configurations=configurations, checkpoints=checkpoints, arrays=arrays, images=images)


def peak(): # MB
    try: import resource
    except ImportError: return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10)


def outside(folder):
    return {p.relative_to(folder) for p in folder.rglob('*') if 'case' not in p.relative_to(folder).parts}


def fuzz(make, folder, cases, derandomize):
    "Read `cases` files of a format."
    root, before, told = folder/'case', None, dict(read=0, refused=0)
    (folder/'x.jpg').write_bytes(b'not this one'), (folder/'work').mkdir()
    before = outside(folder)

    @settings(max_examples=cases, deadline=None, database=None, derandomize=derandomize,
              suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**40))
    def one(seed):
        for p in sorted(root.rglob('*'), reverse=True): p.rmdir() if p.is_dir() else p.unlink()
        root.mkdir(exist_ok=True)
        read, file = make(random.Random(seed), root)
        began, was = time.process_time(), peak()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try: read(file); told['read'] += 1
            except InputError as e:
                told['refused'] += 1
                assert len(str(e)) < LONGEST and str(e).isprintable(), f'seed {seed}: {e!r}'
            except BaseException as e:
                raise AssertionError(f'seed {seed}: {type(e).__name__}: {str(e)[:300]} of {file}') from e
        assert time.process_time() - began < SECONDS, f'seed {seed}: {time.process_time() - began:.1f} s'
        assert peak() - was < MEGABYTES, f'seed {seed}: {peak() - was:.0f} MB'
    one()
    assert outside(folder) == before, 'a file outside'
    return told


@pytest.mark.parametrize('name', FORMATS)
def test_fuzzed(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert sum(fuzz(FORMATS[name], tmp_path, 500 // len(FORMATS), True).values()) > 40


@pytest.mark.slow
@pytest.mark.parametrize('name', FORMATS)
def test_fuzzed_long(name, tmp_path, monkeypatch, capfd):
    "The damage is neither always fatal nor always harmless."
    monkeypatch.chdir(tmp_path)
    told = fuzz(FORMATS[name], tmp_path, 20_000 // len(FORMATS), False)
    assert min(told.values()) > 20, told
