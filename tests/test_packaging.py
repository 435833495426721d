"One version, one set of metadata, and a wheel that holds what the command needs."
import re, runpy, shutil, sysconfig, tomllib, zipfile
from configparser import ConfigParser

import pytest, setuptools
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import affect_nb
from common import ROOT, copy_checkout, run_python, tracked

SETTINGS = ConfigParser(delimiters=['='])
SETTINGS.read(ROOT/'settings.ini', encoding='utf-8')
CFG = SETTINGS['DEFAULT']
PROJECT = tomllib.loads((ROOT/'pyproject.toml').read_text(encoding='utf-8'))
FIELD = dict(author='authors', long_description='readme', install_requires='dependencies',
             extras_require='optional-dependencies')


@pytest.fixture(scope='module')
def given():
    "What setup.py hands to setuptools."
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, 'setup', lambda **kwargs: found.update(kwargs))
        patch.chdir(ROOT)
        runpy.run_path('setup.py')
    return found


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "The wheel, built from the source distribution."
    source = copy_checkout(tmp_path_factory.mktemp('source'))
    run_python('-m', 'build', '--no-isolation', '--outdir', source/'dist', source, cwd=source)
    return next((source/'dist').glob('*.whl'))


def test_one_name_version_and_python(given):
    project = PROJECT['project']
    assert CFG['lib_name'] == project['name'] == given['name'] == PROJECT['tool']['nbdev']['lib_path'] == 'affect_nb'
    assert CFG['version'] == given['version'] == affect_nb.__version__
    wanted = SpecifierSet(f">={CFG['min_python']},<{CFG['max_python']}")
    assert SpecifierSet(given['python_requires']) == SpecifierSet(project['requires-python']) == wanted
    assert CFG['description'] == given['description'] and len(CFG['description']) > 40


def test_urls():
    urls = PROJECT['project']['urls']
    assert urls['Repository'] == CFG['repository'] and urls['Documentation'] == CFG['documentation']


def test_dynamic_names_what_setup_supplies(given):
    "setuptools refuses a field that is supplied but not named, and one that is named but not supplied."
    elsewhere = {'name', 'python_requires', 'packages', 'package_dir', 'package_data', 'long_description_content_type',
                 'entry_points'}
    fields = {FIELD.get(k, k) for k in given if k not in elsewhere}
    fields |= {'scripts' if k == 'console_scripts' else 'entry-points' for k in given['entry_points']}
    assert set(PROJECT['project']['dynamic']) == fields


@pytest.mark.parametrize('key', ['requirements', 'onnx_requirements', 'dev_requirements'])
def test_every_requirement_has_both_bounds(key):
    for line in filter(None, CFG[key].split('\n')):
        r = Requirement(line)
        assert {s.operator for s in r.specifier} & {'>=', '>', '~='}, line
        assert {s.operator for s in r.specifier} & {'<', '<=', '~='}, line


def test_console_scripts(given):
    names = [l.split('=')[0].strip() for l in given['entry_points']['console_scripts']]
    assert names == ['affect', 'nbdev_test', 'nbdev_export', 'nbdev_clean']
    for n in names: assert shutil.which(n, path=sysconfig.get_path('scripts')), n


def test_the_wheel_has_no_commands_for_developers(wheel):
    inside = zipfile.ZipFile(wheel)
    text = inside.read(next(n for n in inside.namelist() if n.endswith('entry_points.txt'))).decode()
    assert re.findall(r'^(\w+) ?=', text, re.M) == ['affect', 'nbdev_test', 'affect_nb'], text


def test_the_wheel_holds_what_is_needed(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    inside = {n for n in names if n.startswith('affect_nb/')}
    here = {t.as_posix() for t in tracked()}
    folders = r'paper/.*|encoder/.*|detector/.*|challenges/.*|columns/.*|report/template/.*'
    wanted = {n for n in here if re.match(rf'affect_nb/(.*\.py|{folders}|explore/.*\.(js|css))$', n)}
    wanted |= {n.replace('nbs/ablations', 'affect_nb/ablations') for n in here
               if re.match(r'nbs/ablations/.*\.(ipynb|yaml)$', n)}
    wanted |= {n.replace('nbs/explore', 'affect_nb/explorers') for n in here
               if re.match(r'nbs/explore/[^/]*\.(ipynb|csv)$', n)}
    assert {'affect_nb/ablations/table_3.ipynb', 'affect_nb/ablations/runs/mtl.ipynb',
            'affect_nb/ablations/profiles/paper.yaml', 'affect_nb/paper/tables.csv',
            'affect_nb/explorers/try.ipynb'} <= wanted
    assert wanted <= inside, sorted(wanted - inside)
    assert all(n.startswith(('affect_nb/', 'affect_nb-')) for n in names)
    assert not [n for n in names if 'tests/' in n or '.ipynb_checkpoints' in n]
    assert {n for n in inside if '/ablations/runs/' in n} == {n for n in wanted if '/ablations/runs/' in n}


def test_the_wheel_finds_its_notebooks(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path/'site')
    code = ('import affect_nb; from affect_nb.runs.profile import *; from affect_nb.tables.rows import rows; from '
            'affect_nb.explore.serve import EXPLORERS; '
            'print(affect_nb.__file__, ABLATIONS, [notebook(k).is_file() for k in RUNS], profile_names(), '
            'len(rows(3)), [len(read_profile(p)) for p in profile_names()], EXPLORERS, '
            '(EXPLORERS/"try.ipynb").is_file())')
    said = run_python('-c', code, cwd=tmp_path, env=dict(PYTHONPATH=str(tmp_path/'site')))
    profiles = sorted(t.stem for t in tracked() if t.match('nbs/ablations/profiles/*.yaml'))
    assert said.count(str(tmp_path/'site'/'affect_nb')) == 3 and said.strip().endswith('True'), said
    assert f'{[True] * 4} {profiles} 19 ' in said and 'smoke' in profiles, said
