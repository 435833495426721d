"Whatever is read comes in by the gate, and whatever is written as CSV goes out by one writer: no module has its own."
import ast
from functools import cache
from pathlib import Path

from common import ROOT, tracked

MODULES = [t for t in tracked() if t.suffix == '.py' and t.parts[0] == 'affect_nb' and not t.name.startswith('_')]
READERS = {'read_text', 'read_bytes', 'json.load', 'np.load', 'np.loadtxt', 'np.fromfile', 'np.memmap', 'np.genfromtxt',
           'pd.read_csv', 'pd.read_parquet', 'pd.read_json', 'pd.read_table', 'pd.read_pickle',
           'pq.read_table', 'pq.read_schema', 'pq.read_metadata', 'pq.ParquetFile', 'yaml.load', 'yaml.safe_load',
           'yaml.compose', 'nbformat.read', 'cv2.imread', 'cv2.VideoCapture', 'Image.open', 'plt.imread',
           'av.open', 'open', 'io.open', 'os.open', 'wave.open', 'zipfile.ZipFile', 'load_file', 'safe_open',
           'torch.load', 'torch.jit.load', 'onnx.load', 'pickle.load', 'gzip.open', 'tarfile.open'}
PASSED = {'open_file', 'io.BytesIO', 'io.StringIO', 'read_lines', 'read_bytes'} # what has come in by the gate
OWN, MADE = 'comes with the package', 'this process has just written it'
EXCEPT = { # module:function → why it needs no gate
    'data/synthetic.py:': OWN, 'infer/faces.py:__init__': OWN, 'explore/pictures.py:asset': OWN,
    'report/report.py:_script': OWN, 'runs/profile.py:_comments': OWN, 'runs/record.py:code_digest': OWN,
    'tables/rows.py:claims': OWN, 'data/features.py:_write_digests': MADE,
    'train/learner.py:load_best': 'its digest is compared first',
    'models/checkpoint.py:_check_zip': 'of a file that the gate has opened',
    'models/checkpoint.py:read_stored': 'check_stored has opened it',
    'infer/outside.py:load_outside': 'check_stored has opened it',
    'data/aff_wild2.py:_parse_good': 'of lines that the gate has read',
    'infer/media.py:open_media': 'of a file that the gate has opened',
    'infer/answers.py:_columns': 'of a file that the gate has opened', 'infer/onnx.py:_describe': MADE}


@cache
def tree(path): return ast.parse((ROOT/path).read_text(encoding='utf-8'))


def said(node): return ast.unparse(node.func) if isinstance(node, ast.Call) else ''


def reads(call):
    "The reader that a call is, unless it writes, or reads what is in the memory."
    name, args = said(call), call.args
    short = name.rsplit('.', 1)[-1]
    # `Path.read_text`, not the gate's
    if short in ('read_text', 'read_bytes'): found = isinstance(call.func, ast.Attribute)
    else: found = name in READERS
    modes = [a.value for a in [*args[1:], *(k.value for k in call.keywords if k.arg == 'mode')]
             if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    writes = short == 'open' and modes and set(modes[0]) & set('wax+') and 'r' not in modes[0].replace('r+', '')
    return name if found and not writes and not (args and said(args[0]) in PASSED) else ''


def places(path):
    "Each reader of a module, with the function that it is in."
    def walk(node, inside):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)): inside = node.name
        if isinstance(node, ast.Call) and (name := reads(node)):
            yield f"{path.relative_to('affect_nb').as_posix()}:{inside}", name
        for child in ast.iter_child_nodes(node): yield from walk(child, inside)
    yield from walk(tree(path), '')


def test_every_reader_goes_through_the_gate():
    found = {place: name for path in MODULES if path != Path('affect_nb/files.py') for place, name in places(path)}
    assert not {p: n for p, n in found.items() if p not in EXCEPT}, 'use affect_nb.files'
    assert not EXCEPT.keys() - found.keys(), 'no longer needed'


def test_every_csv_goes_out_by_one_writer():
    "Formulas are guarded there; a digest of a table's text is no file."
    others = [p for p in MODULES if p not in (Path('affect_nb/files.py'), Path('affect_nb/tables/sheet.py'))]
    calls = {p: [n for n in ast.walk(tree(p)) if isinstance(n, ast.Call)] for p in others}
    assert not [p for p, of in calls.items() for c in of if isinstance(c.func, ast.Attribute)
                and c.func.attr == 'to_csv']
    assert not [p for p, of in calls.items() for c in of if said(c) in ('csv.writer', 'csv.DictWriter')]
