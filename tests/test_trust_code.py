"No file runs code, whatever it names and wherever it lies: one attack for each field that can hold a name."
import json, os, subprocess, sys
from pathlib import Path

import pytest, torch

from affect_nb.files import InputError
from affect_nb.models.affect import AffectModel, load_model
from affect_nb.models.encoder import SMALL, create_encoder, read_checkpoint, save_model
from affect_nb.plugins import code_name, find_module, start_module, start_python
from common import ENV

EVIL = "open('ran', 'w'); from torch import nn\n" \
       "class Net(nn.Module):\n    def __init__(self, *args, **kwargs): super().__init__()\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    "A working directory with code that leaves a trace when it runs: a module, a package, and namesakes of libraries."
    for name in ('evil', 'timm', 'yaml', 'safetensors', 'wave'): (tmp_path/f'{name}.py').write_text(EVIL)
    (tmp_path/'pack').mkdir()
    for name in ('__init__', 'inner'): (tmp_path/'pack'/f'{name}.py').write_text(EVIL)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path/'ran').exists(), 'code has run'


def saved(folder):
    "A small model, saved."
    save_model(AffectModel(create_encoder(SMALL), ['V']), folder)
    return json.loads((folder/'config.json').read_text())


@pytest.mark.parametrize('name', ['evil:Net', 'pack.inner:Net', 'affect_nb.evil:Net', 'affect_nb.runs.shipped:ship'])
@pytest.mark.parametrize('field', ['encoder', 'fusion', 'temporal'])
def test_a_saved_model(here, field, name):
    config = saved(here/'model')
    if field == 'encoder': config['backbone']['encoder'] = name
    else: config[field] = name
    (here/'model'/'config.json').write_text(json.dumps(config))
    with pytest.raises(InputError, match='--allow-code|allow='): load_model(here/'model')
    if field == 'encoder':
        with pytest.raises(InputError, match='--allow-code|allow='): create_encoder(here/'model')


@pytest.mark.parametrize('field', ['encoder', 'temporal', 'data', 'loss', 'settings'])
def test_a_file_of_rows(here, field):
    from affect_nb.tables.own import own_rows
    value = '"temporal: pack.inner:Net"' if field == 'settings' else 'pack.inner:Net'
    (here/'mine.csv').write_text(f'row,task,{field}\na,V,{value}\n')
    with pytest.raises(InputError, match='mine.csv, line 2: it names the code'): own_rows(here/'mine.csv')
    for allowed in ('affect_nb', 'evil', 'pack.inn'):
        with pytest.raises(InputError, match='--allow-code'): own_rows(here/'mine.csv', [allowed])


def test_a_reader_of_our_own_is_not_called(here):
    from affect_nb.tables.own import own_rows
    (here/'mine.csv').write_text('row,task,data\na,V,affect_nb.runs.shipped:ship\n')
    with pytest.raises(InputError, match='--allow-code'): own_rows(here/'mine.csv')


@pytest.mark.parametrize('line', ['temporal: {choices: [lstm, "evil:Net"]}', 'temporal: "pack.inner:Net"',
                                  'loss: {choices: [joint, "evil:Net"]}'])
def test_a_search_space(here, line):
    from affect_nb.runs.request import Setup
    from affect_nb.sweep.space import read_space
    (here/'space.yaml').write_text(f'task: V\nlr: {{low: .1, high: .2}}\nseq_len: 4\n{line}\n')
    with pytest.raises(InputError, match='space.yaml: it names the code'):
        read_space(here/'space.yaml', Setup('smoke', out=str(here/'out')))


@pytest.mark.parametrize('picked', [dict(temporal='"evil:Net"'), dict(temporal='"lstm"', more=1), {}])
def test_trials_of_an_earlier_search(here, picked):
    from affect_nb.sweep.search import Search
    from affect_nb.sweep.space import Choice, Space
    from types import SimpleNamespace
    space = Space(here/'space.yaml', 'V', {}, dict(temporal=Choice(('"lstm"', '"tcn"'))))
    found = Search(SimpleNamespace(out=str(here), seed=0), space, 'base')
    found.file.parent.mkdir()
    found.file.write_text(json.dumps(dict(space=space.said, base='base',
                                          trials=[dict(number=0, picked=picked, bars=[])])))
    with pytest.raises(InputError, match='is damaged'): found.load()


def test_looking_a_name_up_imports_nothing(here):
    before = set(sys.modules)
    assert find_module('pack.inner') and code_name('pack.inner:Net').startswith('pack.inner:Net@')
    assert not {'pack', 'pack.inner', 'evil'} & (set(sys.modules) - before)


class Call:
    def __init__(self, *call): self.call = call
    def __reduce__(self): return self.call


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
@pytest.mark.parametrize('new', [True, False])
def test_a_checkpoint(here, protocol, new):
    for call in ((open, ('ran', 'w')), (os.system, ('touch ran',)), (exec, ("open('ran', 'w')",)),
                 (bytearray, (3 << 30,))):
        torch.save(dict(model=Call(*call)), here/'x.pth', pickle_protocol=protocol, _use_new_zipfile_serialization=new)
        with pytest.raises(InputError, match='can be read safely'): read_checkpoint(here/'x.pth')


@pytest.mark.parametrize('safe', ['', '1'])
@pytest.mark.parametrize('start', [start_python('import yaml, safetensors, wave; print(yaml.__file__)'),
                                   start_module('wave')])
def test_a_process_in_the_folder(here, start, safe):
    done = subprocess.run(start, cwd=here, env={**ENV, 'PYTHONSAFEPATH': safe}, capture_output=True, text=True,
                          timeout=200)
    assert done.returncode == 0 and str(here) not in done.stdout, done.stderr


def test_an_allowed_module_of_the_folder_is_found(tmp_path):
    (tmp_path/'my_part.py').write_text('class Part: size = 3\n')
    code = "from affect_nb.plugins import import_object; print(import_object('my_part:Part').size)"
    done = subprocess.run(start_python(code), cwd=tmp_path, env=ENV, capture_output=True, text=True, timeout=200)
    assert done.stdout == '3\n', done.stderr
