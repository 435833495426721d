"""Places that can't be written to, files that can't be read, names and terminals that are not UTF-8: one sentence
each, and nothing half done."""
import os, subprocess, sys, tempfile, unicodedata
from contextlib import contextmanager
from pathlib import Path

import numpy as np, pytest
from PIL import Image

from affect_nb.data.aff_wild2 import read_mtl
from affect_nb.data.faces import list_faces
from affect_nb.files import InputError, new_folder, read_lines, write_text
from affect_nb.sweep.ensure import sweep_lock
from common import AFFECT, ENV

HEADER, LINE = 'image,valence,arousal,expression,aus\n', '341/00001.jpg,-0.5,0.25,7,0,0,0,0,0,1,0,0,0,-1,0,0\n'


@contextmanager
def as_nobody():
    "Without the rights of root, which reads and writes everything."
    if os.name == 'nt' or os.geteuid() != 0: return (yield)
    os.seteuid(65534)
    try: yield
    finally: os.seteuid(0)


@pytest.mark.parametrize('out', ['file', 'file/below', 'long', '/proc/none/out', '/dev/null'])
@pytest.mark.skipif(sys.platform != 'linux', reason='places of Linux')
def test_an_output_folder_that_cannot_be(here, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'file').write_text('mine')
    if out == 'long': out = '/'.join(['x' * 200] * 30)
    for command in ('tables', '--tables', '3'), ('train', '--tasks', 'V'):
        done = here(*command, '--profile', 'smoke', '--out', out)
        said = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 2 and said.startswith('affect: ') and 'Traceback' not in done.stderr, done.stderr
        assert 'choose another place' in said and len(said) < 520, done.stderr
    assert (tmp_path/'file').read_text() == 'mine' and [p.name for p in tmp_path.iterdir()] == ['file']


@pytest.mark.skipif(os.name == 'nt', reason='rights of POSIX')
def test_rights():
    "A read-only folder and a file that nobody may read; the user whom root becomes must get there."
    with tempfile.TemporaryDirectory() as folder: rights(Path(folder))


def rights(folder):
    folder.chmod(0o755)
    closed, secret = folder/'closed', folder/'train_set.txt'
    closed.mkdir(mode=0o555), secret.write_text(HEADER + LINE), secret.chmod(0)
    with as_nobody():
        with pytest.raises(InputError, match="can't be written .Permission denied.: choose another place"):
            write_text(closed/'a.txt', 'x')
        said = "can't be made .Permission denied.: choose another place"
        with pytest.raises(InputError, match=said), new_folder(closed/'a'): pass
        for read in (read_lines, read_mtl):
            with pytest.raises(InputError, match="train_set.txt: can't be read .Permission denied."): read(secret)
        with pytest.raises(OSError), sweep_lock(closed/'out'): pass
    assert not list(closed.iterdir())


@pytest.mark.skipif(os.name == 'nt', reason='modes of POSIX')
@pytest.mark.parametrize('umask', [0o027, 0o002])
def test_files_have_the_mode_that_is_asked_for(tmp_path, umask):
    "Weights too, which safetensors would keep to their owner."
    code = ("import sys, numpy as np; from safetensors.numpy import save_file; from affect_nb.files import "
            "new_folder, write_atomically, write_text\n"
            "with new_folder(sys.argv[1]) as d: write_atomically(d/'w.safetensors', lambda f: "
            "save_file(dict(a=np.zeros(1)), f)); write_text(d/'t.txt', 'x')")
    before = os.umask(umask)
    try: subprocess.run([sys.executable, '-c', code, tmp_path/'new'], env=ENV, check=True, timeout=300)
    finally: os.umask(before)
    assert {oct(f.stat().st_mode & 0o777) for f in (tmp_path/'new').iterdir()} == {oct(0o666 & ~umask)}
    assert (tmp_path/'new').stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.skipif(sys.platform != 'linux', reason='file names of bytes')
def test_names_that_are_not_utf8(tmp_path, capfd):
    "They are faces like others, and can be told of."
    for name in (b'\xe9\xff.jpg', 'é.jpg'.encode(), 'e\u0301.jpg'.encode()):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(os.fsencode(tmp_path) + b'/' + name, 'JPEG')
    try: assert len(list_faces(tmp_path)) == 3
    except InputError as e: assert str(e).isprintable() and '\\udc' in str(e)
    with pytest.raises(InputError) as e: read_lines(Path(os.fsdecode(b'/none/\xff\x1b[2J')))
    assert str(e.value).isprintable()


def test_a_name_in_another_normal_form(tmp_path):
    """The list of a data set writes é as one character, the disk as two: the frame is missing, which is told, or it
    is found."""
    (tmp_path/'341é').mkdir(), Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path/'341é'/'00001.jpg')
    other = unicodedata.normalize('NFD', '341é/00001.jpg')
    (tmp_path/'train_set.txt').write_text(HEADER + LINE.replace('341/00001.jpg', other), encoding='utf-8')
    try: assert len(read_mtl(tmp_path/'train_set.txt', tmp_path)) == 1
    except InputError as e: assert str(tmp_path) in str(e)


@pytest.mark.skipif(os.name == 'nt', reason='locales of POSIX')
def test_a_terminal_that_knows_only_ascii(tmp_path):
    "Dashes and accents become question marks."
    env = {**ENV, 'LANG': 'C', 'LC_ALL': 'C', 'PYTHONIOENCODING': 'ascii', 'PYTHONUTF8': '0',
           'PYTHONCOERCECLOCALE': '0'}
    (tmp_path/'é–.yaml').write_text('base: smoke\nepochs: –\n', encoding='utf-8')
    for command in (['tables', '--help'], ['tables', '--profile', 'é–.yaml', '--dry-run']):
        done = subprocess.run([AFFECT, *command], env=env, cwd=tmp_path, capture_output=True, timeout=300)
        assert done.returncode in (0, 2) and b'Traceback' not in done.stderr + done.stdout, done.stderr
        assert (done.stdout + done.stderr).isascii(), done.stderr
