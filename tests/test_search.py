"A search by its command: kills, what is refused, what it leaves."
import json, re, time

import pandas as pd, pytest

from affect_nb.sweep.search import search
from affect_nb.sweep.sweep import Sweep
from common import affect
from test_sweep import beside, kill, start

SPACE = '''task: V
windows: {choices: [[1, 1], [5, 4]]}
joint: {choices: [[V], [V, A]]}
lr: {low: 1.0e-4, high: 1.0e-2, log: true}
dropout: {low: 0, high: .5}
epochs: 60
tune: head
'''


def trials(out):
    file = out/'tables'/'search_space_trials.json'
    return json.loads(file.read_text())['trials'] if file.exists() else []


def what(out):
    "Parameters and scores."
    return [(t['picked'], t['bars'], t['state'], t['score'], t['scores']) for t in trials(out)]


def kill_in(trial, process, out):
    "Kill the command and its kernels while a trial trains."
    until = time.time() + 3000
    while True:
        assert process.poll() is None and time.time() < until, process.communicate()
        now = trials(out)
        if len(now) > trial and now[trial]['state'] == 'running':
            logs = [f for f in out.glob('runs/V*/log.csv') if not (f.parent/'record.json').exists()
                    and not (f.parent/'pruned.json').exists()]
            if any(len(f.read_text().splitlines()) > 4 for f in logs): break
        elif len(now) > trial + 1: break
        time.sleep(.02)
    kill(process)
    assert len(trials(out)) >= trial


@pytest.fixture
def asked(tmp_path):
    (tmp_path/'space.yaml').write_text(SPACE)
    return lambda out, n: ('search', tmp_path/'space.yaml', '--trials', n, '--profile', 'smoke', '--workers', 1,
                           '--out', out)


def test_a_search_goes_on_after_a_kill(asked, tmp_path):
    whole = tmp_path/'whole'
    search(Sweep('smoke', out=str(whole), workers=1), tmp_path/'space.yaml', 2, say=lambda text: None)
    killed = beside(whole, tmp_path/'killed')
    kill_in(0, start(*asked(killed, 2)), killed)
    done = affect(*asked(killed, 2))
    assert done.returncode == 0 and what(killed) == what(whole), done.stderr
    assert [t['state'] for t in trials(whole)] == ['complete'] * 2, done.stderr
    assert re.search(r'chosen and scored on all groups: -?\d\.\d{4} \[', done.stdout)
    assert 'chosen on one half, scored on the other' in done.stdout
    files = {f.name for f in (killed/'tables').iterdir()}
    assert {'search_space.csv', 'search_space_trials.csv', 'search_space_report.md', 'search_space.ipynb'} <= files
    page = (killed/'report.html').read_text(encoding='utf-8')
    assert pd.read_csv(killed/'tables'/'search_space_trials.csv')['state'].tolist() == ['complete'] * 2
    assert 'What mattered' in page and str(tmp_path) not in page


def test_what_is_refused_before_anything_is_run(asked, tmp_path):
    (tmp_path/'space.yaml').write_text(SPACE.replace('dropout', 'dropuot'))
    done = affect(*asked(tmp_path/'out', 2))
    assert done.returncode == 2, done.stderr
    assert "unknown name 'dropuot' in a search of V: did you mean dropout" in done.stderr, done.stderr
    assert done.stderr.count('\n') == 1, done.stderr
    assert not list(tmp_path.glob('out/runs/*')) and not trials(tmp_path/'out')


@pytest.mark.slow
def test_twenty_trials_killed_twice(asked, tmp_path):
    "The same parameters and scores as the search that was not killed."
    def make(out): search(Sweep('smoke', out=str(out), workers=1), tmp_path/'space.yaml', 20, say=lambda text: None)
    whole = tmp_path/'whole'
    make(whole)
    killed = beside(whole, tmp_path/'killed')
    for trial in (4, 13): kill_in(trial, start(*asked(killed, 20)), killed)
    make(killed)
    assert what(killed) == what(whole) and {'complete', 'pruned'} <= {t['state'] for t in trials(whole)}
