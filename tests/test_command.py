"The command: what it says, what it refuses, and that a refusal leaves nothing behind."
import re, shutil, subprocess

import pytest

from common import AFFECT, ENV, affect

BAD = '5/00001.jpg,0.1,0.2,9,0,0,0,0,0,0,0,0,0,0,0,0'


@pytest.fixture(scope='session')
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp('faces')/'small'
    done = affect('synth', root, '--train', 3, '--val', 2, '--held-out', 2, '--videos', 1)
    assert done.returncode == 0 and not done.stderr and done.stdout.strip() == str(root), done.stderr
    return root


def copy(root, to): return shutil.copytree(root, to, copy_function=shutil.copyfile)


def edit(file, change):
    text = file.read_bytes().decode()
    file.write_bytes(change(text).encode())


def cut(image): image.write_bytes(image.read_bytes()[:-200])


def refused(*args, says, status=2, by=affect):
    "One sentence on stderr."
    done = by(*args)
    lines = [l for l in done.stderr.strip().splitlines() if not l.startswith('note: ')]
    assert done.returncode == status and len(lines) == 1 and lines[0].startswith('affect: '), done.stdout + done.stderr
    for s in says: assert s in lines[0], lines[0]
    return done


def test_help_lists_the_commands():
    done = affect('--help')
    assert done.returncode == 0
    for name in ('tables', 'show', 'search', 'pretrain', 'finetune', 'train', 'submit', 'check', 'synth'):
        assert f' {name} ' in done.stdout


def test_version_profiles_and_completion(here):
    from affect_nb import __version__
    from affect_nb.runs.profile import profile_names
    assert here('--version').stdout == f'affect_nb {__version__}\n'
    said = here('tables', '--help').stdout
    for name in profile_names(): assert re.search(rf'\b{name}\b', said), name
    asked = dict(_AFFECT_COMPLETE='complete_bash', COMP_WORDS='affect train --profile d', COMP_CWORD='3')
    assert subprocess.run([AFFECT], env={**ENV, **asked}, capture_output=True, text=True,
                          timeout=60).stdout.split() == ['demo', 'demo3']


def test_a_dry_run_is_quick_and_writes_nothing(here, tmp_path):
    "No faces are drawn but a few, in a folder that goes away; the summary comes first."
    first, summary, *runs = here('tables', '--tables', 3, '--out', tmp_path/'out', '--dry-run').stdout.splitlines()
    assert first.startswith('dry run: Table 3; profile demo')
    assert summary == '25 runs to make (1 pretrain, 1 finetune, 23 mtl), 0 already made, for 23 rows'
    assert runs[0] == 'pretrain (what others start from): never run' and '--gpu a100' in runs[-1]
    assert not list(tmp_path.iterdir())


def test_synth_then_check(faces):
    done = affect('check', faces)
    assert done.returncode == 0 and done.stdout.strip().endswith('nothing is wrong'), done.stdout + done.stderr
    assert not done.stderr, done.stdout + done.stderr
    for word in ('train', 'val', 'held_out', 'frames', '112×112'): assert word in done.stdout
    again = refused('synth', faces, says=[str(faces), 'not empty'])
    assert not again.stdout


def test_check_finds_leaks_and_broken_images(faces, tmp_path):
    root = copy(faces, tmp_path/'faces')
    image = sorted((root/'cropped_aligned').rglob('*.jpg'))[3]
    cut(image)
    line = (root/'training_set_annotations.txt').read_text().splitlines()[1]
    edit(root/'validation_set_annotations.txt', lambda t: t + line + '\n')
    done = affect('check', root)
    wrong = [l for l in done.stdout.splitlines() if l.startswith('WRONG')]
    assert done.returncode == 1 and len(wrong) == 2 and not done.stderr, done.stdout
    assert f'{image.parent.name}/{image.name}' in wrong[0] and 'cut short' in wrong[0]
    assert 'more than one split' in wrong[1]


def test_windows_files(faces, tmp_path):
    root = copy(faces, tmp_path/'faces')
    for f in root.glob('*_set_annotations.txt'): edit(f, lambda t: '\ufeff' + t.replace('\n', '\r\n'))
    numbers = lambda done: done.stdout.splitlines()[1:]
    assert numbers(affect('check', root)) == numbers(affect('check', faces))


ARGUMENTS = {
    'no root': (['train', '--data', 'nowhere'], ["'nowhere'"]),
    'no root to check': (['check', 'nowhere'], ['nowhere', 'no such folder']),
    'profile': (['train', '--profile', 'quick', '--data', '{faces}'], ["'quick'", 'smoke', 'demo', 'paper']),
    'task': (['train', '--tasks', 'V+Smile', '--data', '{faces}'], ["'SMILE'", 'EXPR']),
    'name of a setting': (['train', '--set', 'epoch=3', '--data', '{faces}'], ["'epoch'", 'epochs']),
    'type of a setting': (['train', '--set', 'epochs=many', '--data', '{faces}'], ['epochs', "'many'", 'a number']),
    'form of a setting': (['train', '--set', 'epochs', '--data', '{faces}'], ['--set epochs', 'name=value']),
    'hop': (['train', '--seq-len', '5', '--hop', '6', '--data', '{faces}'], ['hop (W) is 6', '5']),
    'table': (['tables', '--tables', 'three', '--data', '{faces}'], ["'three'"]),
    'what is fused': (['train', '--fuse', 'V+Smile', '--data', '{faces}'], ["'SMILE'"]),
    'fold': (['train', '--folds', '3', '--fold', '3', '--data', '{faces}'], ['fold is 3 of 3']),
    'nested': (['tables', '--tables', '3', '--nested', 'half', '--data', '{faces}'], ["nested is 'half'"]),
    'refit of a table': (['tables', '--tables', '3', '--folds', '1', '--data', '{faces}'], ['folds is 1', '--folds 1']),
    'no file of rows': (['tables', '--rows', 'mine.csv', '--data', '{faces}'], ["'mine.csv'", 'row and task']),
    'a module that is not there': (['train', '--temporal', 'no_such_module:Net', '--data', '{faces}'],
                                   ["'no_such_module:Net'", 'PYTHONPATH']),
    'temporal part': (['train', '--seq-len', '5', '--temporal', 'gru', '--data', '{faces}'], ["'gru'", 'lstm']),
    'no encoder': (['train', '--encoder', '/nonexist', '--data', '{faces}'], ["'/nonexist'", 'no run folder']),
    'code of a file': (['tables', '--rows', '{rows}', '--data', '{faces}'], ['line 2', 'evil', '--allow-code']),
    'stages': (['train', '--tasks', 'CE', '--stage-epochs', 'five', '--data', '{faces}'], ["--stage-epochs is 'five'"]),
    'stages without CE': (['train', '--tasks', 'V', '--mixup', '--data', '{faces}'], ['--tasks CE']),
    'no list to submit': (['submit', 'no_run', 'no_frames', '--list', 'no_list.txt'], ['no_list.txt']),
    'no run to submit': (['submit', 'no_run'], ['no_run']),
    'frames without a list': (['submit', 'no_run', 'no_frames'], ['FRAMES and --list']),
    'no videos to submit': (['submit', 'no_run', '--data', '{faces}'], ['c_expr: ROOT']),
    'cell': (['show', '3.99'], ["'3.99'"]),
}


@pytest.mark.parametrize('name', ARGUMENTS)
def test_wrong_arguments(name, faces, tmp_path, monkeypatch, here):
    monkeypatch.chdir(tmp_path)
    args, says = ARGUMENTS[name]
    rows = faces.parent/'evil.csv'
    rows.write_text('row,task,temporal\nmine,V,evil:Net\n')
    args = [a.replace('{faces}', str(faces)).replace('{rows}', str(rows)) for a in args]
    refused(*args, *([] if args[0] in ('check', 'submit') else ['--out', tmp_path/'out']), says=says, by=here)
    assert not list(tmp_path.iterdir())


def test_a_wrong_argument_in_the_shell(faces, tmp_path):
    refused('train', '--seq-len', 5, '--hop', 6, '--data', faces, '--out', tmp_path/'out', says=['hop (W) is 6'])
    assert not (tmp_path/'out').exists()


@pytest.fixture
def ce_run(tmp_path):
    "A run of the compound track that has learned nothing, and a profile with few drawn videos."
    from affect_nb.models.affect import AffectModel
    from affect_nb.models.encoder import create_encoder, save_model
    save_model(AffectModel(create_encoder(dict(img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=2)), ['CE']),
               tmp_path/'out/runs/CE')
    (tmp_path/'out/data').mkdir()
    (tmp_path/'few.yaml').write_text('base: smoke\nembedded: {c_expr: {videos: 3, frames: 8}}\n')
    return tmp_path/'out/runs/CE'


def test_submit(ce_run, tmp_path, here):
    """Of drawn videos with their score; then of the same folder as a user's own, where frames without a face have to
    be named."""
    first, own, out = tmp_path/'first.txt', tmp_path/'own.txt', ['--out', tmp_path/'own.txt']
    done = here('submit', ce_run, '--profile', tmp_path/'few.yaml', '--out', first)
    assert not done.returncode and 'note: 3 of 24 listed frames' in done.stderr, done.stderr
    path, words, score = done.stdout.splitlines()
    assert path == str(first) and 'not the paper' in words and score.startswith('f1_ce7 ') and '[' in score
    assert score.endswith(' of 3 groups')
    root, = (tmp_path/'out/data').glob('c_expr-*/')
    official = root/'test_list.txt'
    (tmp_path/'data.yaml').write_text(f'table: {official}\nc_expr: {root}\n', encoding='utf-8')
    for args in ([root, '--list', official], ['--data', tmp_path/'data.yaml']):
        refused('submit', ce_run, *args, *out, says=['video 03: 5 frames', '--faceless'], by=here)
        done = here('submit', ce_run, *args, *out, '--faceless', '--workers', 1)
        assert not done.returncode and done.stdout.split() == [str(own)], done.stderr
        assert own.read_text() == first.read_text(), done.stderr
        own.unlink()
    before = official.read_bytes()
    refused('submit', ce_run, root, '--list', official, '--out', official, '--faceless', says=['official list itself'],
            by=here)
    assert official.read_bytes() == before


FILES = {
    'a bad line': (lambda t: t + BAD + '\n', ['training_set_annotations.txt, line ', 'expr is 9']),
    'a way out of the root': (lambda t: t + BAD.replace('5/00001', '../00001') + '\n',
                              ['training_set_annotations.txt, line ', '../00001.jpg']),
    'too few columns': (lambda t: t + '5/00001.jpg,0.1\n', ['training_set_annotations.txt, line ', '2 columns']),
}


@pytest.mark.parametrize('name', FILES)
def test_wrong_annotations(name, faces, tmp_path, here):
    change, says = FILES[name]
    root = copy(faces, tmp_path/'faces')
    file = root/'training_set_annotations.txt'
    edit(file, change)
    says = [*says, f'line {len(file.read_text().splitlines())}:']
    refused('pretrain', '--profile', 'smoke', '--data', root, '--out', tmp_path/'out', says=says, by=here)
    done = here('check', root)
    assert done.returncode == 1 and all(s in done.stdout for s in says) and not (tmp_path/'out').exists()


ROWS = {
    'column': ('row,task,colour\nmine,V,red\n', ["unknown column 'colour'", 'baseline']),
    'baseline': ('row,task,baseline\nmine,V,3.99\n', ['mine.csv, line 2', "there is no baseline '3.99'"]),
    'another metric': ('row,task,baseline\nmine,V,3.1\n', ['mine.csv, line 2', 'f1_au', 'ccc_v']),
    'share': ('row,task,stage_epochs,compound_share\nmine,CE,5 5,0 1.5\n',
              ['mine.csv, line 2', 'compound_share', 'is no share']),
    'settings': ('row,task,settings\nmine,V,epoch: 3\n', ["unknown setting 'epoch'", 'epochs']),
}


@pytest.mark.parametrize('name', ROWS)
def test_wrong_rows(name, faces, tmp_path, here):
    text, says = ROWS[name]
    (tmp_path/'mine.csv').write_text(text)
    refused('tables', '--rows', tmp_path/'mine.csv', '--profile', 'smoke', '--data', faces, '--out', tmp_path/'out',
            says=says, by=here)
    assert not list(tmp_path.glob('out/runs/*'))


def test_wrong_project_file(faces, tmp_path, here):
    file = tmp_path/'data.yaml'
    file.write_text(f'aff_wild2: {faces}\nafew: {faces}\n', encoding='utf-8')
    refused('pretrain', '--profile', 'smoke', '--data', file, '--out', tmp_path/'out',
            says=['data.yaml', "'afew'", 'aff_wild2'], by=here)
    assert not (tmp_path/'out').exists()


def test_a_broken_image_stops_training(faces, tmp_path):
    root = copy(faces, tmp_path/'faces')
    image = next(root/'cropped_aligned'/l.split(',')[0]
                 for l in (root/'training_set_annotations.txt').read_text().splitlines()[1:]
                 if (root/'cropped_aligned'/l.split(',')[0]).exists())
    cut(image)
    refused('pretrain', '--profile', 'smoke', '--data', root, '--out', tmp_path/'out',
            says=[f'{image.parent.name}/{image.name}', 'cut short', 'run.ipynb'])
    left = {f.name for f in (tmp_path/'out').rglob('*') if f.is_file()}
    assert left <= {'run.ipynb', '.lock', '.code', 'error.txt'}, left
