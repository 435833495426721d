"The table by its command, its notebook and a call; kills, moved folders, and the way back from a number to its run."
import json, os, random, re, shlex, shutil, signal, subprocess, sys, time

import pandas as pd, psutil, pytest

from affect_nb.data.layouts import write_raf_db
from affect_nb.runs.record import read_record
from affect_nb.runs.execute import call_notebook
from affect_nb.runs.profile import ABLATIONS, read_profile
from affect_nb.sweep.sweep import Sweep
from affect_nb.files import InputError
from common import AFFECT, ENV, ROOT, affect

COLUMNS = ['row', 'task', 'metric', 'fuse', 'joint', 'S', 'W', 'stage_epochs', 'compound_share', 'mixup', 'cutmix',
           'paper', 'ours', 'present', 'lo', 'hi', 'cross_fit', 'held_out', 'seeds', 'scored', 'data', 'runs']
TABLES = ('tables', '--profile', 'smoke', '--tables', '1,2,3,4,5,6', '--out')


def runs(out): return {f.parent.name: f.stat().st_mtime_ns for f in out.glob('runs/*/record.json')}


def table(out): return {f.name: f.read_text(encoding='utf-8') for f in (out/'tables').glob('*.csv')}


def frame(out, number): return pd.read_csv(out/'tables'/f'table_{number}.csv', dtype=dict(row=str))


@pytest.fixture(scope='module')
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp('sweep')/'out'
    done = affect(*TABLES, out)
    assert done.returncode == 0, done.stdout + done.stderr
    return out, done.stdout


@pytest.fixture
def out(swept): return swept[0]


def quietly(out):
    "The tables by a call in this process, and what it said."
    said = []
    sweep = Sweep('smoke', out=str(out))
    sweep.publish(sweep.tables(say=said.append), say=said.append)
    return '\n'.join(said)


def test_rows_and_files(swept):
    out, said = swept
    asked = read_profile('smoke')['rows']
    for i in asked: assert re.search(rf'^  {re.escape(i)} .* -?\d\.\d{{4}} +\[', said, re.M), said
    assert 'embedded faces' in said and (out/'report.html').stat().st_size > 10_000
    records = [read_record(out/'runs'/n) for n in runs(out)]
    singles = {o['digest'] for r in records for o in r.get('others', [])}
    rows = [r for r in records if r['kind'] in ('mtl', 'ce') and r['digest'] not in singles]
    assert len(rows) == len(asked) - 2 and len(singles) == 2
    assert {r['kind'] for r in records} == {'pretrain', 'finetune', 'mtl', 'ce'}
    assert {r['params'].get('tune') for r in records} >= {'head', 'last', 'all'}


def test_rows_share_runs_and_features(swept):
    out, said = swept
    t = frame(out, 5).set_index('row')
    assert t.runs['6'] == t.runs['12'] and t.task.tolist() == ['V', 'A']
    assert frame(out, 4).runs[0] == frame(out, 6).runs[0]
    assert {'ours', 'lo', 'hi', 'constant'} <= set(pd.read_csv(out/'tables'/'table_4_compounds.csv'))
    stores = list((out/'features').iterdir())
    assert len(stores) >= 4 and {(s/'extractions.txt').read_text().count('\n') for s in stores} == {1}
    assert re.search(r'10 rows were filled by 8 runs: 2 saved by sharing', said), said


def test_table_files(out):
    asked = [f"{n}.{r}" for n in (2, 3, 5, 4, 6) for r in frame(out, n)['row']]
    assert asked == read_profile('smoke')['rows']
    for n in (1, 2, 3, 4, 5, 6):
        df = frame(out, n)
        assert list(df) == COLUMNS and df['data'].str.contains('they test the software, not the paper').all()
        full = df[df.ours.notna()]
        assert (full['scored'] > 0).all() and (full['lo'] <= full['present']).all()
        assert (full['present'] <= full['hi']).all() and (full['seeds'] == 1).all()
        for names in full['runs']: assert names and all((out/'runs'/n).is_dir() for n in names.split())
        for end in ('differences', 'postprocessing', 'claims'): assert (out/'tables'/f'table_{n}_{end}.csv').exists()


def test_table_1_is_made_of_the_best_rows(out):
    t = frame(out, 1).set_index('metric')
    best = {m: max((r.ours, r.runs) for n in (2, 3, 5) for r in frame(out, n).itertuples() if r.metric == m
                   and r.row.isdigit())
            for m in ('ccc_v', 'ccc_a', 'f1_expr', 'f1_au')}
    for m, (ours, run) in best.items(): assert t.ours[m] == pytest.approx(ours, abs=1e-5) and t.runs[m] == run
    v, a, e, u = (best[m][0] for m in ('ccc_v', 'ccc_a', 'f1_expr', 'f1_au'))
    p = t[t.task == 'MTL'].loc['P']
    assert p.ours == pytest.approx((v + a) / 2 + e + u, abs=1e-4) and p.lo < p.ours < p.hi
    assert 'quoted, not re-run' in t[t.task == 'MTL-baseline'].data.iloc[0]


def test_run_folders_and_records(out):
    for name in runs(out):
        folder, r = out/'runs'/name, read_record(out/'runs'/name)
        files = {'run.ipynb', 'record.json', 'log.csv', 'model.safetensors', 'config.json',
                 'environment.txt'} | ({'predictions.parquet'} if r['metrics'] else set())
        assert files <= {f.name for f in folder.iterdir()}
        assert not [f for f in folder.iterdir() if f.name.endswith(('.part', '.pt'))]
        assert name.endswith(r['digest'][:8]) and re.fullmatch('[0-9a-f]{64}', r['digest'])
        assert len(r['data']['digest']) == 16
        assert isinstance(r['seed'], int) and r['params']
        assert {'python', 'torch', 'fastai', 'timm', 'affect_nb'} <= set(r['versions']) and 'git' in r
        assert r['seconds']['training'] > 0 and 0 < r['seconds']['beyond'] <= r['seconds']['total']
        assert r['peak_memory_mb'] > 100
        assert (r['upstream'] is None) == (r['kind'] == 'pretrain')
        assert (not r['upstream'] or read_record(out/'runs'/r['upstream']['run'])['digest'] == r['upstream']['digest'])
        assert set(r['metrics']) == set(r['params'].get('tasks', [])) | ({'CE7'} if r['kind'] == 'ce' else set())
        for m in r['metrics'].values():
            assert m['ours']['lo'] is not None and m['cross_fit'] and (m['held_out'] or r['kind'] == 'ce')
            for part in filter(None, (m['ours'], m['cross_fit'], m['held_out'])):
                assert part['lo'] <= part['present'] <= part['hi'] and part['score'] <= part['present'] + 1e-6
                assert part['scored'] > 0 and part['groups'] > 3
        assert len(pd.read_csv(folder/'log.csv')) == r['params']['epochs']


def test_records_hold_no_path(out, tmp_path):
    "A folder can move between machines."
    for name in runs(out):
        for file in ('record.json', 'config.json'):
            assert str(out) not in (out/'runs'/name/file).read_text(encoding='utf-8')


def test_a_second_call_makes_nothing(out):
    before, text = runs(out), table(out)
    done = affect(*TABLES, out)
    assert done.returncode == 0 and 'runs to make' not in done.stdout and '3.8 ' in done.stdout
    assert runs(out) == before and table(out) == text


def test_a_changed_table_or_report_is_written_again(out):
    before, text, report = runs(out), table(out), (out/'report.html').stat().st_size
    (out/'tables'/'table_3.csv').write_text(text['table_3.csv'].replace('V', 'W', 1))
    (out/'report.html').write_text('nothing')
    done = affect(*TABLES, out)
    assert 'writing the tables: Table 3\n' in done.stdout and runs(out) == before
    assert table(out) == text and abs((out/'report.html').stat().st_size - report) < report / 10


def test_the_notebook_by_papermill(out, tmp_path):
    before = runs(out)
    command = [sys.executable, '-m', 'papermill', ABLATIONS/'table_3.ipynb', tmp_path/'out.ipynb', '-p', 'profile',
               'smoke', '-p', 'out', out, '-k', 'python3']
    done = subprocess.run(list(map(str, command)), env=ENV, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    made = (tmp_path/'out.ipynb').read_text(encoding='utf-8')
    assert 'image/png' in made and 'text/html' in made and 'runs to make' not in made and runs(out) == before


def test_moved_and_copied_folders(out, tmp_path):
    before, text = runs(out), table(out)
    out.rename(tmp_path/'moved')
    try: assert 'runs to make' not in quietly(tmp_path/'moved') and runs(tmp_path/'moved') == before
    finally: (tmp_path/'moved').rename(out)
    one, two = tmp_path/'one', tmp_path/'two' # two machines made half of the runs each
    for k, n in enumerate(sorted(runs(out))): shutil.copytree(out/'runs'/n, (one, two)[k % 2]/'runs'/n)
    shutil.copytree(two/'runs', one/'runs', dirs_exist_ok=True)
    assert 'runs to make' not in quietly(one) and set(runs(one)) == set(before) and table(one) == text


def test_a_wrong_parameter_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no parameter 'seq_length': choose from .*seq_len"):
        call_notebook(ABLATIONS/'runs'/'mtl.ipynb', tmp_path/'out.ipynb', seq_length=5)
    assert not list(tmp_path.iterdir())


def test_show_leads_back_to_the_run(out):
    done = affect('show', '3.8', '--out', out)
    chain = [n for n in runs(out) if n in done.stdout]
    assert done.returncode == 0 and '0.5705' in done.stdout and len(chain) == 3
    assert {n.split('-')[0] for n in chain} == {'V', 'finetune', 'pretrain'}
    commands, before = re.findall(r'^ +(affect .*)$', done.stdout, re.M), runs(out)
    assert len(commands) == 3
    again = affect(*shlex.split(commands[0])[1:])
    assert again.returncode == 0 and again.stdout.count(': already made') == 3, again.stdout + again.stderr
    assert ': to make' not in again.stdout and runs(out) == before, again.stdout + again.stderr


# Interruptions

TRAIN = ('train', '--tasks', 'V', '--seq-len', '5', '--profile', 'smoke', '--set', 'epochs=60', '--out')


def start(*args):
    return subprocess.Popen([AFFECT, *map(str, args)], env={**ENV, 'PYTHONUTF8': '1'}, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def kill(process):
    "End the command and its kernels at once."
    try: all_of_it = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess: all_of_it = []
    for p in all_of_it:
        try: p.kill()
        except psutil.NoSuchProcess: pass
    psutil.wait_procs(all_of_it, timeout=30)
    return process.communicate(timeout=30)


def epochs_done(folder, what='V'):
    log = next(folder.glob(f'runs/{what}-*/log.csv'), None)
    return len(pd.read_csv(log)) if log else 0


def wait_for(out, epochs, process, what='V'):
    until = time.time() + 300
    while epochs_done(out, what) < epochs:
        assert process.poll() is None and time.time() < until, process.communicate()
        time.sleep(.02)


def beside(out, folder):
    "An output folder with the data and the runs that training starts from, and without the others."
    folder.mkdir()
    shutil.copytree(out/'data', folder/'data', copy_function=os.link)
    for n in runs(out):
        if n.startswith(('pretrain', 'finetune')): shutil.copytree(out/'runs'/n, folder/'runs'/n)
    return folder


def result(out, what='V'):
    folder = next(out.glob(f'runs/{what}-*'))
    log = pd.read_csv(folder/'log.csv').drop(columns='seconds')
    return read_record(folder)['metrics'], pd.read_parquet(folder/'predictions.parquet'), log


@pytest.mark.slow
def test_a_run_goes_on_after_kills(out, tmp_path):
    "Killed by SIGKILL, stopped by SIGTERM, and repeated: the same numbers as without."
    whole, killed = beside(out, tmp_path/'whole'), beside(out, tmp_path/'killed')
    done = affect(*TRAIN, whole)
    assert done.returncode == 0, done.stderr

    process = start(*TRAIN, killed)
    wait_for(killed, 3, process)
    kill(process)
    folder, first = next(killed.glob('runs/V-*')), epochs_done(killed)
    assert not (folder/'record.json').exists() and (folder/'checkpoint.pt').exists() and first < 60

    process = start(*TRAIN, killed)
    wait_for(killed, first + 3, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode not in (0, None) and 'Traceback' not in err and 'the same command continues' in err, err
    second = epochs_done(killed)
    assert not (folder/'record.json').exists() and first + 3 <= second < 60

    done = affect(*TRAIN, killed)
    assert done.returncode == 0, done.stderr
    (m, p, log), (m2, p2, log2) = result(whole), result(killed)
    assert m == m2
    pd.testing.assert_frame_equal(p, p2, check_exact=True)
    pd.testing.assert_frame_equal(log, log2, check_exact=True)


@pytest.mark.slow
def test_the_curriculum_goes_on_in_its_third_stage(out, tmp_path):
    "Killed in stage 3 of 4: the same order of images, the same numbers."
    stages = ('train', '--tasks', 'CE', '--stage-epochs', '3 3 6 3', '--compound-share', '0 .2 .4 1', '--mixup',
              '--cutmix', '--profile', 'smoke', '--out')
    whole, killed = beside(out, tmp_path/'whole'), beside(out, tmp_path/'killed')
    done = affect(*stages, whole)
    assert done.returncode == 0, done.stderr
    process = start(*stages, killed)
    wait_for(killed, 8, process, 'CE')
    kill(process)
    assert 8 <= epochs_done(killed, 'CE') < 12
    done = affect(*stages, killed)
    assert done.returncode == 0, done.stderr
    (m, p, log), (m2, p2, log2) = result(whole, 'CE'), result(killed, 'CE')
    assert log['stage'].tolist() == [1] * 3 + [2] * 3 + [3] * 6 + [4] * 3 and log['generated'].iloc[-1] > 0
    assert {'CE', 'CE7'} == set(m)
    assert m == m2
    pd.testing.assert_frame_equal(p, p2, check_exact=True)
    pd.testing.assert_frame_equal(log, log2, check_exact=True)


@pytest.mark.slow
def test_a_sweep_goes_on_after_many_kills(out, tmp_path):
    """Ten kills at random moments: finished runs stay as they are, nothing half is taken for whole, and the table is
    the same."""
    rnd, new, kept = random.Random(0), tmp_path/'out', {}
    for k in range(10):
        process = start(*TABLES, new)
        try: process.wait(timeout=rnd.uniform(2, 25))
        except subprocess.TimeoutExpired: pass
        kill(process)
        now = runs(new)
        assert kept.items() <= now.items()
        for n in now:
            assert json.loads((new/'runs'/n/'record.json').read_text())['name'] == n
            assert (new/'runs'/n/'model.safetensors').exists()
        kept = now
    done = affect(*TABLES, new)
    assert done.returncode == 0, done.stderr
    assert kept.items() <= runs(new).items() and set(runs(new)) == set(runs(out)) and table(new) == table(out)


def test_data_that_lack_much(tmp_path):
    "Pictures of basic expressions alone: what can run is run, the rest says why, and there is a report."
    root = write_raf_db(tmp_path/'raf', train=40, val=30, compound_train=11, compound_val=11)
    shutil.rmtree(root/'compound')
    (tmp_path/'data.yaml').write_text('raf_db: raf')
    (tmp_path/'few.yaml').write_text("base: smoke\nrows: ['3.5', '4.3', '4.3u', '6.4']")
    done = affect('tables', '--tables', '1,3,4', '--profile', 'few.yaml', '--data', 'data.yaml', '--out', 'out',
                  cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    four = frame(tmp_path/'out', 4).set_index('row')
    assert 0 < four.ours['3'] < 1 and 'no training image shows a compound' in four.data['3u']
    assert 'no video in train is longer than 1 frame' in frame(tmp_path/'out', 3).data[0]
    page = (tmp_path/'out'/'report.html').read_text(encoding='utf-8')
    assert 'not applicable' in page and 'f1_ce7' in page and str(tmp_path) not in page


def test_rows_of_ones_own(out, tmp_path):
    "The tutorial's file of ideas and two of its rows, by the command; another's idea changes nothing."
    notebook = json.loads((ROOT/'nbs'/'explore'/'own_rows.ipynb').read_text(encoding='utf-8'))
    cells = [''.join(c['source']) for c in notebook['cells']]
    ideas = next(c for c in cells if c.startswith("Path('ideas.py')")).split("'''")[1]
    (tmp_path/'ideas.py').write_text(ideas)
    (tmp_path/'mine.csv').write_text('row,task,baseline,S,temporal,loss\ngru,V,3.8,5,ideas:Gru,\n'
                                     'squared,V,gru,5,ideas:Gru,ideas:Squared\n')
    before, command = runs(out), ('tables', '--rows', 'mine.csv', '--profile', 'smoke', '--out', out, '--allow-code',
                                  'ideas')
    done = affect(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r'^  squared .* \d\.\d{4} +\[', done.stdout, re.M), done.stdout + done.stderr
    assert len(runs(out)) == len(before) + 2 and before.items() <= runs(out).items()
    df = pd.read_csv(out/'tables'/'mine_differences.csv')
    assert df['row'].tolist() == ['gru', 'squared'] and df['baseline'].astype(str).tolist() == ['3.8', 'gru']
    assert df['lo'].notna().all()
    assert 'gru' in affect('show', 'mine:gru', '--out', out, cwd=tmp_path).stdout
    again = affect(*command, cwd=tmp_path)
    assert again.returncode == 0 and 'runs to make' not in again.stdout
    (tmp_path/'ideas.py').write_text(ideas + '\n')
    assert '2 runs to make' in affect(*command, '--dry-run', cwd=tmp_path).stdout


def test_an_ensemble_of_rows(out, tmp_path):
    "Two rows of the paper as one, from the runs that are there; rows of other data are refused before anything is run."
    before, command = runs(out), ('tables', '--rows', 'entries.csv', '--profile', 'smoke', '--out', out)
    (tmp_path/'entries.csv').write_text('row,task,ensemble,baseline\nboth,V,3.8+5.6,3.8\n')
    done = affect(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r'^  both .* -?\d\.\d{4} +\[', done.stdout, re.M), done.stdout + done.stderr
    assert runs(out) == before, done.stdout + done.stderr
    t, d = (pd.read_csv(out/'tables'/f'entries{end}.csv').set_index('row') for end in ('', '_differences'))
    assert 'mean prediction of 3.8+5.6 (weights' in t.loc['both', 'data'] and len(t.loc['both', 'runs'].split()) == 2
    assert d.loc['both', 'lo'] <= d.loc['both', 'hi'] and not (out/'tables'/'entries_ensembles.csv').exists()
    write_raf_db(tmp_path/'raf', train=40, val=30, compound_train=11, compound_val=11)
    (tmp_path/'entries.csv').write_text('row,task,data,ensemble\na,EXPR,,\nb,EXPR,raf,\nboth,EXPR,,a+b\n')
    done = affect(*command, cwd=tmp_path)
    assert done.returncode == 2 and 'row both: a and b are of different data' in done.stderr, done.stderr
    assert runs(out) == before, done.stderr


@pytest.mark.slow
def test_a_sweep_with_damaged_runs(out, tmp_path):
    """Each run is damaged in another way: it is named and made again, from features that are made again; the tables
    end equal."""
    new = tmp_path/'out'
    shutil.copytree(out, new)
    def folder(what): return next(f for f in (new/'runs').iterdir() if re.fullmatch(f'{what}-[0-9a-f]{{8}}', f.name))
    def flip(file):
        data = bytearray(file.read_bytes())
        data[len(data)*2 // 3] ^= 1
        file.write_bytes(data)
    def cut(file): file.write_bytes(file.read_bytes()[:-100])
    names = 'pretrain', 'finetune', 'EXPR-S5-W5', 'EXPR-S5-W5-shuffled', 'V-S5-W5'
    pretrain, finetune, expr, shuffled, v = damaged = [folder(n) for n in names]
    flip(pretrain/'model.safetensors'), (finetune/'log.csv').unlink(), cut(expr/'predictions.parquet')
    shutil.copy(v/'record.json', shuffled/'record.json'), cut(v/'record.json')
    for store in (new/'features').iterdir(): flip(store/'features.npy')
    for run in (new/'runs').iterdir(): (run/'run.ipynb').write_text('') # for people: no number is read from it
    before = runs(new)
    done = affect('tables', '--profile', 'smoke', '--tables', '3', '--out', new)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    for run in damaged: assert re.search(rf'note: .*{run.name}/.*: the run is made again', said), said
    after = runs(new)
    assert {n for n in after if after[n] != before.get(n)} == {f.name for f in damaged}
    three = {n: text for n, text in table(out).items() if n.startswith('table_3')}
    assert three and three == {n: table(new)[n] for n in three}


@pytest.mark.slow
def test_compounds_of_the_demo(tmp_path):
    "The paper's best schedule on the drawn faces: single expressions well, compounds far above chance."
    (tmp_path/'one.yaml').write_text("base: demo\nrows: ['4.3']")
    done = affect('tables', '--tables', '4', '--profile', 'one.yaml', '--out', 'out', cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert frame(tmp_path/'out', 4).ours[0] >= .60
    assert pd.read_csv(tmp_path/'out'/'tables'/'table_4_compounds.csv').lo[0] > 1.5/7
