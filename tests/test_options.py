"""Every option of every command, fuzzed: one sentence that names the option and the way out, exit status 2, nothing
written."""
import inspect, re
from typing import Annotated, get_args, get_origin

import pytest

from affect_nb.cli import app

COMMANDS = {c.name or c.callback.__name__: c.callback for c in app.registered_commands}
LONG = 'x'*5000


def parameters():
    "Command, parameter as it is typed (None: an argument), its type."
    for command, function in COMMANDS.items():
        for name, p in inspect.signature(function).parameters.items():
            assert get_origin(p.annotation) is Annotated, f'{command}: {name} has no help'
            kind, info = get_args(p.annotation)[:2]
            if type(info).__name__ == 'ArgumentInfo': yield command, None, kind
            else: yield command, (info.param_decls or [f"--{name.replace('_', '-')}"])[0], kind


PARAMETERS = list(parameters())
NUMBERS = [(c, name, k) for c, name, k in PARAMETERS if name and {int, float} & {k, *get_args(k)}
           and bool not in (k, *get_args(k))]
FLAGS = [(c, name) for c, name, k in PARAMETERS if name and k is bool]


@pytest.fixture
def refused(here, tmp_path, monkeypatch):
    "Call the command in an empty folder, which stays empty; nothing is ever trained."
    def ran(*args, **kwargs): raise RuntimeError('it was begun')
    monkeypatch.setattr('affect_nb.runs.request.Request.make', ran)
    monkeypatch.setattr('affect_nb.sweep.sweep.ensure', ran)
    monkeypatch.chdir(tmp_path)
    def call(args, *says):
        before = {f: f.stat().st_mtime_ns for f in tmp_path.rglob('*')}
        done = here(*args)
        lines = [l for l in done.stderr.splitlines() if not l.startswith('note: ')]
        assert done.returncode == 2 and len(lines) == 1 and not done.stdout.strip(), f'{args}: {done}'
        line, = lines
        assert line.startswith('affect: ') and len(line) < 600 and line.isprintable(), line
        for s in says: assert s in line, line
        assert before == {f: f.stat().st_mtime_ns for f in tmp_path.rglob('*')}
    return call


def test_words_that_mean_nothing(refused):
    for value in ('\x07', 'a\nb', '\t', f'runs/{LONG}/x'): refused(['train', '--out', value], '--out')
    for command, name, kind in PARAMETERS:
        start = [command, name] if name else [command]
        if kind is bool: continue
        for value in ('\x1b[31m', ' '): refused([*start, value], name or 'argument', ': ')
        refused([*start, LONG], name or 'argument', '5,000 bytes')
        if not name: refused([*start, ''], 'an argument is blank')


def test_numbers(refused):
    for command, name, kind in NUMBERS:
        whole = int in (kind, *get_args(kind))
        for value in ('', 'nan', '1e400', '-99999999999', '@x', '0x10', '1 2',
                      *(['1.5', '9'*30, 'inf'] if whole else [])):
            refused([command, name, value], name, 'must be a')


def test_flags(refused):
    for command, name in FLAGS:
        for words in ([name, 'true'], [f'{name}=true'], [name, 'yes']):
            refused([command, *words], f'{name} takes no value: type {name} alone')


def test_names_that_are_none(refused):
    for command in COMMANDS: refused([command, '--nothing'], '--nothing', f'affect {command} --help')
    refused(['tabels'], "'tabels'", '--help'); refused(['--nothing'], '--nothing', '--help')
    refused(['train', 'extra'], 'extra', 'affect train --help'); refused(['check'], 'root', 'affect check --help')


SETTINGS = {
    'epochs=.inf': ['epochs is inf'], 'epochs=.nan': ['epochs is nan'], 'epochs=1e400': ['epochs'],
    'epochs=@x': ['--set epochs', 'not YAML'], '@x': ['--set @x', 'name=value'],
    '=3': ["unknown setting ''"], 'epochs=': ['epochs is None'], 'epochs=[1': ['--set epochs'],
    'epochs={a: b': ['--set epochs'], 'epochs=0': ['1 or more'], 'epochs=-1': ['1 or more'],
    'epochs=99999999999': ['at most 1,000,000,000'], f"epochs={'9'*200}": ['epochs'],
    'epochs=!!python/object/apply:os.system [x]': ['--set epochs'], 'epochs=[1, 2]': ['epochs'],
    'lr=.nan': ['lr is nan'], 'lr=-1': ['0 or more'], 'lr=1e400': ['lr'], 'wd=.inf': ['wd'],
    'batch_size=0': ['batch_size'], 'threads=-1': ['threads'], 'gpus=0': ['gpus'],
    'weights={V: .nan}': ['V is nan'], 'extra={a: b}': ['extra'], 'single={a: b}': ["unknown setting 'a'"],
    'drop_path=1.5': ['drop_path', 'at most 1'], 'precision=fp8': ['fp32'],
}


@pytest.mark.parametrize('setting', SETTINGS)
def test_settings(setting, refused): refused(['train', '--set', setting], *SETTINGS[setting])


PROFILES = {
    'a cycle': ('base: {other}\n', ['base of its base']), 'itself': ('base: {mine}\n', ['its own base']),
    'a list': ('- 1\n', ['list of sections']),
    'not text': ('\0\1', ['mine.yaml']), 'no end': ('mtl: {lr: .inf}', ['lr is inf']),
    'no number': ('mtl: {lr: .nan}', ['lr is nan']), 'huge': (f"mtl: {{epochs: 1{'0'*400}}}", ['too large']),
    'a base that is none': ('base: [1]', ['[1]']), 'aliases': ('mtl: &a {lr: *a}', ['mine.yaml']),
    'code': ('mtl: !!python/name:os.system', ['mine.yaml']),
}


@pytest.mark.parametrize('name', PROFILES)
def test_profiles(name, refused, tmp_path):
    text, says = PROFILES[name]
    mine, other = tmp_path/'mine.yaml', tmp_path/'other.yaml'
    mine.write_text(text.replace('{other}', str(other)).replace('{mine}', str(mine)), encoding='utf-8')
    other.write_text(f'base: {mine}\n', encoding='utf-8')
    refused(['train', '--profile', mine], *says)


CALLS = {
    'train --profile nothing': ["'nothing'", 'demo'], 'train --profile ../x': ["'../x'"],
    'train --profile /dev/null': ["'/dev/null'"], 'train --data nowhere': ["'nowhere'"],
    'train --data /dev/zero': ['/dev/zero'],
    'train --data http://x/y': ['x/y'], 'train --tasks +': ['tasks is empty'], 'train --tasks CE+V': ['CE', 'alone'],
    'train --fuse CE': ['CE', 'alone'],
    'train --fuse oracle+V': ['ORACLE'], 'train --seq-len 5 --hop 6': ['hop (W) is 6'],
    'train --folds 5 --fold 5': ['fold is 5 of 5'], 'train --rerun often': ["rerun is 'often'"],
    'train --temporal @x': ["'@x'"], 'train --tasks CE --stage-epochs 1e400': ['--stage-epochs'],
    'train --tasks CE --stage-epochs -1': ['-1'],
    'train --tasks CE --compound-share nan': ['nan'], 'train --tasks CE --compound-share inf': ['inf'],
    'train --mixup': ['--tasks CE'],
    'tables --tables ,': ['--tables'], 'tables --tables -1': ['--tables'], 'tables --tables 3-5': ['--tables'],
    'tables --tables 0': ['no table 0'], 'tables --tables ²': ['--tables'],
    'tables --rows nowhere.csv': ['nowhere.csv'], 'tables --rows /dev/null': ['/dev/null'],
    'tables --gpu gtx1': ["'gtx1'", 'a100'], 'tables --nested half': ["nested is 'half'"],
    'tables --folds 1': ['folds is 1'],
    'show nan': ["'nan'"], 'show 3': ["'3'"], 'search nowhere.yaml': ['nowhere.yaml'],
    'search /dev/null': ['/dev/null'], 'pretrain --set mask_ratio=1.5': ['mask_ratio'],
    'finetune --tasks CE': ['CE', 'alone'],
    'predict nowhere.jpg': ['nowhere.jpg'], 'submit nothing': ["nothing"], 'submit mtl nowhere': ['FRAMES', '--list'],
    'export nowhere x': ['nowhere'], 'score nowhere nowhere': ['nowhere'],
    'check nowhere': ['nowhere'], 'check /dev/null': ['/dev/null'], 'synth new --train 0': ['--train must be'],
    'synth new --videos 0': ['--videos must be'],
}


@pytest.mark.parametrize('call', CALLS)
def test_calls(call, refused): refused(call.split(), *CALLS[call])
