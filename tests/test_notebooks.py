"The notebooks are the source: the modules and the README follow them, and they stay readable."
import ast, json, re, shutil, subprocess, sysconfig
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from affect_nb.runs import record
from common import ENV, ROOT, copy_checkout, tracked
from readme import readme

FLOORS = ('labels', 'files', 'frames', 'plugins', 'data', 'models', 'train', 'runs', 'tables', 'sweep', 'report',
          'infer',
          'explore', 'command', 'cli') # imports go downwards only
NOTEBOOKS = [t for t in tracked() if t.suffix == '.ipynb' and t.parts[0] == 'nbs']
MODULES = [t for t in tracked() if t.suffix == '.py' and t.parts[0] == 'affect_nb' and not t.name.startswith('_')]


def text_of(path): return path.read_text(encoding='utf-8')


def cells(path, kind='code'):
    return [''.join(c['source']) for c in json.loads((ROOT/path).read_text(encoding='utf-8'))['cells']
            if c['cell_type'] == kind]
def is_exported(cell): return re.match(r'#\|\s*exports?\b', cell)
def code_lines(cell): return [l for l in cell.splitlines() if l.strip() and not l.startswith('#|')]
def exporting(): return [n for n in NOTEBOOKS if any(is_exported(c) for c in cells(n))]


def nbdev(name, folder):
    command = shutil.which(name, path=sysconfig.get_path('scripts'))
    done = subprocess.run([command], cwd=folder, env=ENV, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope='module')
def checkout(tmp_path_factory): return copy_checkout(tmp_path_factory.mktemp('checkout'))


def test_modules_are_in_step_with_the_notebooks(checkout):
    for t in tracked():
        if t.parts[0] == 'affect_nb' and t.suffix == '.py' and t.name != '__init__.py': (checkout/t).unlink()
    nbdev('nbdev_export', checkout)
    made = {f.relative_to(checkout).as_posix() for f in (checkout/'affect_nb').rglob('*.py')}
    assert made == {t.as_posix() for t in tracked() if t.parts[0] == 'affect_nb' and t.suffix == '.py'}
    differ = [n for n in sorted(made) if text_of(checkout/n) != text_of(ROOT/n)]
    assert not differ, f'run nbdev_export: {differ}'


def test_notebooks_are_clean(checkout):
    nbdev('nbdev_clean', checkout)
    differ = [str(n) for n in NOTEBOOKS if json.loads(text_of(checkout/n)) != json.loads(text_of(ROOT/n))]
    assert not differ, f'run nbdev_clean: {differ}'


def parts_of(notebook):
    "The module of a notebook; those of the explorers lie in a folder of their own, away from the explorers."
    return [p for p in notebook.relative_to('nbs').with_suffix('').parts if p != 'widgets']


def test_a_module_for_each_notebook():
    names = {Path(*parts_of(n)) for n in exporting()}
    assert names == {m.relative_to('affect_nb').with_suffix('') for m in MODULES}
    for n in exporting(): assert f"default_exp {'.'.join(parts_of(n))}\n" in '\n'.join(cells(n)) + '\n', n


@pytest.mark.parametrize('path', NOTEBOOKS, ids=str)
def test_notebook_is_readable(path):
    assert (ROOT/path).stat().st_size < 300_000
    assert cells(path, 'markdown')[0].startswith('# ')
    code = cells(path)
    long = [c.splitlines()[1] for c in code if is_exported(c) and len(code_lines(c)) > 50]
    assert not long, f'more than 50 lines: {long}'
    if path in exporting():
        shown = '\n'.join(c for c in code if not is_exported(c))
        assert re.search(r'\btest_\w+\(|^\s*assert |\bexpect_fail\(', shown, re.M), 'no test'


def test_prose_instead_of_comments():
    lines = [l.strip() for n in NOTEBOOKS for c in cells(n) for l in code_lines(c)]
    assert sum(l.startswith('#') for l in lines) < .01 * len(lines)


def imported(path):
    "The modules of this library that a module imports anywhere, by their first name."
    package = ['affect_nb', *path.relative_to('affect_nb').parts[:-1]]
    for node in ast.walk(ast.parse((ROOT/path).read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import): found = [a.name.split('.') for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            base += (node.module or '').split('.') if node.module else []
            found = [base + [a.name] for a in node.names]
        else: continue
        yield from (f[1] for f in found if f[0] == 'affect_nb' and len(f) > 1)


@pytest.mark.parametrize('path', MODULES, ids=str)
def test_imports_go_downwards(path):
    own = FLOORS.index(path.relative_to('affect_nb').with_suffix('').parts[0])
    for name in imported(path): assert FLOORS.index(name) <= own, f'{path} imports {name}'


def test_the_code_of_a_run_is_all_that_it_stands_on():
    floors = {part.removesuffix('.py') for part in record._TRAINS}
    assert floors == set(FLOORS[:FLOORS.index('tables')]), 'of what runs import, some is missing in code_digest'
    assert set(record._TELLS) == set(FLOORS[FLOORS.index('tables'):FLOORS.index('report')])


def exported_names(path):
    "The public names that a module defines, methods added by `@patch` left out."
    for node in ast.parse((ROOT/path).read_text(encoding='utf-8')).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            patched = any('patch' in ast.unparse(d) for d in node.decorator_list)
            names = [] if patched else [node.name]
        elif isinstance(node, ast.Assign):
            names = [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        else: continue
        yield from (n for n in names if not n.startswith('_'))


def test_no_name_stands_for_two_things():
    places = {}
    for path in MODULES:
        for name in set(exported_names(path)): places.setdefault(name, []).append(str(path))
    assert not {n: p for n, p in places.items() if len(p) > 1}


@pytest.mark.parametrize('path', MODULES, ids=str)
def test_no_private_name_is_imported(path):
    for node in ast.walk(ast.parse((ROOT/path).read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or '').startswith('affect_nb')):
            assert not [a.name for a in node.names if a.name.startswith('_')], path


def modules_imported(path):
    "The modules of this library that a module imports at its top."
    package = ['affect_nb', *path.relative_to('affect_nb').parts[:-1]]
    for node in ast.parse((ROOT/path).read_text(encoding='utf-8')).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            yield '.'.join([*package[:len(package) - node.level + 1], *(node.module or '').split('.')])


def test_no_circle():
    graph = {'.'.join(p.with_suffix('').parts): set(modules_imported(p)) for p in MODULES}
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize('path', MODULES, ids=str)
def test_lines_a_person_can_read(path):
    text = (ROOT/path).read_text(encoding='utf-8')
    wide = [l for l in text.partition('# %% ..')[2].splitlines() if len(l) > 120 and not l.startswith('# %%')]
    assert not wide, wide[:3]
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = [f.name for f in functions if len(ast.get_source_segment(text, f)) > 1600]
    assert not long, long


SCRIPTS = [p for pattern in ('setup.py', 'tests/*.py', 'benchmarks/*.py', 'configs/*.py') for p in ROOT.glob(pattern)]

@pytest.mark.parametrize('path', [str(p.relative_to(ROOT)) for p in sorted(SCRIPTS)])
def test_scripts_are_no_wider(path):
    wide = [l for l in (ROOT/path).read_text(encoding='utf-8').splitlines() if len(l) > 120]
    assert not wide, wide[:3]


def test_the_readme_is_the_index():
    assert (ROOT/'README.md').read_text(encoding='utf-8') == readme(), 'run make readme'


def test_no_paths_of_a_machine():
    here = re.compile('|'.join([re.escape(str(ROOT)) if len(ROOT.parts) > 2 else '(?!)',
                                r'(?<![\w.~])/(home|root|Users|work|mnt|tmp)/\w', r'[A-Z]:\\+Users\\+\w']))
    for t in tracked():
        if t.suffix in ('.safetensors', '.onnx', '.png', '.jpg', '.heic'): continue
        found = here.search((ROOT/t).read_text(encoding='utf-8'))
        assert not found, f'{t}: {found[0]}'
