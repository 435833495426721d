"""Runs side by side: two sweeps in one output folder, runs that own several GPUs, and jobs of a cluster that are told
to end."""
import json, os, re, signal, subprocess, sys, threading, time
from collections import Counter
from contextlib import contextmanager

import psutil, pytest, torch

from affect_nb.files import InputError
from affect_nb.runs.execute import RunFailed
from affect_nb.runs.launch import train_together
from affect_nb.runs.record import read_record
from affect_nb.runs.request import Request
from affect_nb.sweep import ensure as sweep
from common import AFFECT, ENV, ROOT

TABLES = ('tables', '--profile', 'smoke', '--tables', '3', '--out')


class Command:
    "The command in a process of its own, and what it has said so far."
    def __init__(self, *args):
        self.process = subprocess.Popen([AFFECT, *map(str, args)], env={**ENV, 'PYTHONUTF8': '1'},
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding='utf-8')
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    @property
    def said(self): return ''.join(list(self.lines))

    def wait(self, timeout=500):
        self.process.wait(timeout)
        self.reader.join(30)
        return self.process.returncode

    def wait_until(self, text, timeout=300):
        until = time.time() + timeout
        while not re.search(text, self.said):
            assert self.process.poll() is None and time.time() < until, self.said
            time.sleep(.05)

    def kill(self):
        everything = [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]
        for p in everything: p.kill()
        psutil.wait_procs(everything, timeout=30)


def made(*commands):
    "Names of the runs that were made, each as often as it was told."
    return [n for c in commands for n in re.findall(r'^\[\d+/\d+, \d+ s\] (\S+)$', c.said, re.M)]


def check(out, *commands):
    told, there = made(*commands), {f.parent.name for f in out.glob('runs/*/record.json')}
    assert len(told) == len(set(told)) and set(told) <= there, told
    for n in there:
        assert read_record(out/'runs'/n)['name'] == n
        assert json.loads((out/'runs'/n/'run.ipynb').read_text(encoding='utf-8'))
    # no part of a file
    assert not (out/'.sweep.json').exists() and not [f for f in out.rglob('.*') if re.match(r'\.\d+-\d+\.', f.name)]
    return told, there


@pytest.mark.slow
def test_the_second_goes_on_when_the_first_is_killed(tmp_path):
    out = tmp_path/'out'
    first = Command(*TABLES, out)
    first.wait_until(r'runs to make')
    second = Command(*TABLES, out)
    second.wait_until(rf'another sweep is at work in .* \(process {first.process.pid} on ')
    first.kill()
    assert second.wait() == 0, second.said
    told, there = check(out, first, second)
    assert set(told) <= there and (out/'tables'/'table_3.csv').exists()


def test_a_worker_of_a_configuration_has_its_environment(tmp_path):
    "Parsl's helpers are found although the environment is not activated."
    code = ("import os, sys; from affect_nb.sweep.ensure import load_config; c = load_config(sys.argv[1], "
            "sys.argv[2]); import shutil; "
            "print(c.executors[0].label, c.usage_tracking, shutil.which('interchange.py') is not None, "
            "shutil.which('process_worker_pool.py') is not None)")
    for name in ('local', 'slurm'):
        done = subprocess.run([sys.executable, '-c', code, ROOT/'configs'/f'{name}.py', tmp_path],
                              env={**ENV, 'PATH': os.defpath}, capture_output=True, text=True, timeout=100)
        assert done.stdout.split() == [name, '0', 'True', 'True'], done.stdout + done.stderr


def request(name, gpus, *parents):
    "A run that is not there yet."
    r = Request(f'{name}.ipynb', dict(gpus=gpus), 'abc', 0, *parents)
    vars(r)['slug'] = name
    return r


@pytest.fixture
def made_on(monkeypatch):
    "Four GPUs that are not there, and what runs got of them: name → number or numbers."
    found, used, guard = {}, Counter(), threading.Lock()
    def make(self, out, gpu=-1, **_):
        mine = gpu if isinstance(gpu, list) else [gpu]
        with guard:
            used.update(mine)
            assert max(used.values()) == 1, f'{self.slug} shares a GPU'
            found[self.slug] = gpu
        time.sleep(.05)
        with guard: used.subtract(mine)
    monkeypatch.setattr(Request, 'make', make)
    monkeypatch.setattr(sweep, 'machine', lambda: (8, [0, 1, 2, 3]))
    return found


def test_runs_own_groups_of_gpus(made_on, tmp_path):
    "More runs than GPUs, that need one, two, three or all of them: each gets its own, and none waits forever."
    first = request('first', 4)
    later = [request(f'r{k}', 1 + k % 4, first) for k in range(24)]
    assert sweep.ensure(later, tmp_path, say=lambda _: None) == {}
    assert made_on.pop('first') == [0, 1, 2, 3] and len(made_on) == 24
    for r in later:
        got, k = made_on[r.slug], r.params['gpus']
        assert got in range(4) if k == 1 else len(set(got)) == k, (r.slug, got)


def test_more_gpus_than_there_are_is_told_before_anything_starts(made_on, monkeypatch, tmp_path):
    runs = [request('small', 1), request('large', 5)]
    with pytest.raises(InputError, match='^large needs 5 GPUs .gpus in the profile., but can have 4 here: lower it$'):
        sweep.ensure(runs, tmp_path)
    monkeypatch.setenv('AFFECT_GPUS_PER_RUN', '2')
    with pytest.raises(InputError, match='large needs 5 GPUs .*, but can have 2 here: lower it, or let '
                                         'AFFECT_GPUS_PER_RUN be 5 for'):
        sweep.ensure(runs, tmp_path, config=ROOT/'configs'/'slurm.py')
    assert not made_on


def test_without_gpus_a_run_takes_one_place(made_on, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, 'machine', lambda: (2, []))
    with pytest.MonkeyPatch.context() as m: # both places have the same number
        m.setattr(Request, 'make', lambda self, out, gpu=-1, **_: made_on.update({self.slug: gpu}))
        assert sweep.ensure([request('one', 1), request('many', 8)], tmp_path, say=lambda _: None) == {}
    assert made_on == dict(one=-1, many=-1)


def test_workers_above_the_gpus_share_them(monkeypatch, tmp_path):
    "Five workers on two GPUs: at most three runs on each, and they are told that a third of the memory is theirs."
    used, most, shares, guard = Counter(), Counter(), set(), threading.Lock()
    def make(self, out, gpu=-1, **_):
        with guard:
            used[gpu] += 1
            most[gpu] = max(most[gpu], used[gpu])
            shares.add(os.environ['AFFECT_GPU_SHARE'])
        time.sleep(.05)
        with guard: used[gpu] -= 1
    monkeypatch.setattr(sweep, 'machine', lambda: (8, [0, 1]))
    monkeypatch.setattr(Request, 'make', make)
    assert sweep.ensure([request(f'r{k}', 1) for k in range(20)], tmp_path, workers=5, say=lambda _: None) == {}
    assert set(most) == {0, 1} and 2 <= max(most.values()) <= 3 and shares == {'3'}
    assert 'AFFECT_GPU_SHARE' not in os.environ


def test_a_worker_that_is_lost_when_all_is_done(monkeypatch, tmp_path):
    "The record is there: the run has not failed, and nothing says so later."
    made = set()
    def make(self, out, **_):
        (tmp_path/'runs'/self.name).mkdir(parents=True)
        made.add(self.name)
        raise RunFailed('its worker was lost')
    monkeypatch.setattr(sweep, 'finished', lambda out, r, *_, **__: r.name in made)
    monkeypatch.setattr(Request, 'make', make)
    assert sweep.ensure([request('one', 1)], tmp_path, say=lambda _: None) == {}
    assert not list(tmp_path.rglob('error.txt'))


@pytest.mark.parametrize('devices', [[2, 3], []])
def test_each_process_takes_its_own_gpu(devices, monkeypatch, tmp_path):
    (tmp_path/'call.json').write_text(json.dumps(dict(kind='mtl', call={}, out='', allow=[], devices=devices)))
    taken = []
    def begin(backend): raise InterruptedError(backend)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'set_device', taken.append)
    monkeypatch.setattr(torch.distributed, 'init_process_group', begin)
    for rank in range(2):
        monkeypatch.setenv('LOCAL_RANK', str(rank))
        with pytest.raises(InterruptedError, match='nccl'): train_together(tmp_path/'call.json')
    assert taken == (devices or [0, 1])


KERNEL = "import signal, sys, time; told = []\n" \
         "signal.signal(signal.SIGTERM, lambda *_: told.append(1)); open('began', 'w')\n" \
         "while not told: time.sleep(.05)\ntime.sleep(1); open('checkpoint', 'w')"
WORKER = f"import signal, subprocess, sys; signal.signal(signal.SIGTERM, lambda *_: kernel.terminate())\n" \
         f"kernel = subprocess.Popen([sys.executable, '-c', {KERNEL!r}]); kernel.wait(); open('told', 'w')\n" \
         f"while True: signal.pause()"
MANAGER = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WORKER!r}]).wait()"
JOB = "import sys; from affect_nb.sweep.job import job; sys.exit(job(sys.argv[1:], grace=1))"


@contextmanager
def job(manager, folder):
    "A job of a cluster, of processes that have no other task than to end."
    p = subprocess.Popen([sys.executable, '-c', JOB, sys.executable, '-c', manager], cwd=folder, env=ENV)
    try: yield p
    finally:
        for q in (*psutil.Process(p.pid).children(recursive=True), p) if p.poll() is None else (): q.kill()
        p.wait()


@pytest.mark.skipif(os.name == 'nt', reason='no SIGTERM to wait for')
def test_a_job_that_is_told_to_end_waits_for_checkpoints(tmp_path):
    with job(MANAGER, tmp_path) as p:
        until = time.time() + 60
        while not (tmp_path/'began').exists() and time.time() < until: time.sleep(.05)
        family = psutil.Process(p.pid).children(recursive=True)
        for q in (psutil.Process(p.pid), *family): q.terminate() # as SLURM does: all of them
        assert p.wait(30) == 0
        assert (tmp_path/'checkpoint').exists() and (tmp_path/'told').exists()
        assert not psutil.wait_procs(family, timeout=10)[1]


def test_a_job_ends_as_its_manager_does(tmp_path):
    with job('raise SystemExit(3)', tmp_path) as p: assert p.wait(60) == 3
