"Two sweeps in one output folder: each run is made once, and both end well."
import json, os, re, subprocess, sys, threading, time

import psutil, pytest

from affect_nb.runs.record import read_record
from common import AFFECT, ENV, ROOT

TABLES = ('tables', '--profile', 'smoke', '--tables', '3', '--out')


class Command:
    "The command in a process of its own, and what it has said so far."
    def __init__(self, *args):
        self.process = subprocess.Popen([AFFECT, *map(str, args)], env={**ENV, 'PYTHONUTF8': '1'}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding='utf-8')
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
    for n in there: assert read_record(out/'runs'/n)['name'] == n and json.loads((out/'runs'/n/'run.ipynb').read_text(encoding='utf-8'))
    assert not (out/'.sweep.json').exists() and not [f for f in out.rglob('.*') if re.match(r'\.\d+-\d+\.', f.name)] # no part of a file
    return told, there


def test_two_sweeps_at_once(tmp_path):
    out = tmp_path/'out'
    both = Command(*TABLES, out), Command(*TABLES, out)
    for c in both: assert c.wait() == 0, c.said
    told, there = check(out, *both)
    assert set(told) == there and all('FAILED' not in c.said for c in both)
    waited = [c for c in both if 'another sweep is at work' in c.said]
    if waited: assert re.search(r'another sweep is at work in .* \(process \d+ on \S+, since \d{4}-.*\): waiting until it ends', waited[0].said) and not made(waited[0])
    rows = [sorted(re.findall(r'^  (3\.\S+) .* -?\d\.\d{4} \[', c.said, re.M)) for c in both]
    assert rows[0] == rows[1] and rows[0]


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
    code = ("import os, sys; from affect_nb.sweep.ensure import load_config; c = load_config(sys.argv[1], sys.argv[2]); import shutil; "
            "print(c.executors[0].label, c.usage_tracking, shutil.which('interchange.py') is not None, shutil.which('process_worker_pool.py') is not None)")
    for name in ('local', 'slurm'):
        done = subprocess.run([sys.executable, '-c', code, ROOT/'configs'/f'{name}.py', tmp_path], env={**ENV, 'PATH': os.defpath}, capture_output=True, text=True, timeout=100)
        assert done.stdout.split() == [name, '0', 'True', 'True'], done.stdout + done.stderr
