"""A whole sweep, from the first drawing to the report, while processes are killed and the disk fills: the same command
goes on, and the tables are the same.

After each fault nothing of the sweep is at work any more, and at the end nothing unfinished lies about."""
import json, os, random, re, shutil, signal, subprocess, sys, time, uuid

import psutil, pytest

from affect_nb.runs.record import read_record
from common import AFFECT, ENV, ROOT

pytestmark = pytest.mark.skipif(os.name == 'nt', reason='no signals')
FEW = "base: smoke\nrows: ['3.8']\npretrain: {epochs: 8}\n"
MANY = "base: smoke\nrows: ['2.3', '3.8', '4.3']\npretrain: {epochs: 6}\n"
ORPHANS = 20 # seconds after which nothing is at work any more
LEFTOVERS = re.compile(r'\.\d+-\d+\.|\.parsl$|\.sweep\.json$|checkpoint\.pt$|best-|error\.txt$|.*\.part\.npy$')
UMASK = os.umask(0)
os.umask(UMASK)


def hears():
    "What a terminal starts hears of Ctrl-C and of its end; what a script starts in the background does not."
    for s in (signal.SIGINT, signal.SIGHUP): signal.signal(s, signal.SIG_DFL)


class Sweep:
    "The command, in a session of its own as in a terminal of its own; its processes are known by their environment."
    def __init__(self, profile, out, tables, *more, log=None):
        self.mark, self.out = uuid.uuid4().hex, out
        env = {**ENV, 'PYTHONUTF8': '1', 'AFFECT_CORES': '1', 'KILLS_MARK': self.mark}
        command = [AFFECT, 'tables', '--profile', profile, '--tables', tables, '--out', out, '--workers', '1', *more]
        self.log = (log or out.parent)/f'{self.mark}.txt'
        with open(self.log, 'wb') as f:
            self.process = subprocess.Popen([*map(str, command)], env=env, stdout=f, stderr=subprocess.STDOUT,
                                            start_new_session=True, preexec_fn=hears)

    @property
    def said(self): return self.log.read_text(encoding='utf-8', errors='replace')

    def family(self):
        "What is at work for the sweep, wherever it has got to."
        def marked(p):
            try: return p.environ().get('KILLS_MARK') == self.mark and p.status() != psutil.STATUS_ZOMBIE
            except psutil.Error: return False
        return [p for p in psutil.process_iter() if marked(p)]

    def wait_until(self, true, seconds=500):
        "Whether something has come true before the command has ended."
        until = time.time() + seconds
        while self.process.poll() is None:
            if true(): return True
            assert time.time() < until, self.said
            time.sleep(.03)
        return False

    def left(self):
        "What is still there some time after the command has ended."
        until = time.time() + ORPHANS
        while (family := self.family()) and time.time() < until: time.sleep(.2)
        return [' '.join(p.cmdline())[:100] for p in family]

    def end(self):
        for p in self.family(): p.kill()
        self.process.wait(30)


def some(out, *patterns): return [f for p in patterns for f in out.glob(p)]


def epochs(out, kind, n): return any(f.read_text().count('\n') > n for f in out.glob(f'runs/{kind}-*/log.csv'))


def called(sweep, word): return [p for p in sweep.family() if word in ' '.join(p.cmdline())]


def kernels(sweep):
    "Those that were started, and those that were forked."
    return called(sweep, 'ipykernel_launcher') + [k for p in called(sweep, 'runs.forks') for k in p.children()]


def forked_from(sweep): return called(sweep, 'runs.forks')


def workers(sweep): return called(sweep, 'spawn_main')


def kill(processes):
    for p in processes:
        try: p.kill()
        except psutil.NoSuchProcess: pass


FAULTS = dict( # what strikes, and the exit status of a command that it has hit; 0: it had no more to do
    KILL=(lambda s: s.process.kill(), -9),
    TERM=(lambda s: s.process.terminate(), 130),
    INT=(lambda s: os.killpg(s.process.pid, signal.SIGINT), 130),
    HUP=(lambda s: os.killpg(s.process.pid, signal.SIGHUP), 130), # the terminal is closed
    kernel=(lambda s: kill(kernels(s)), 2),
    forks=(lambda s: kill(forked_from(s)), 2),
    worker=(lambda s: kill(workers(s)[-1:]), 2))
ASKED = ('INT', 'TERM', 'HUP') # those that the command is to answer at once


def soon(seconds):
    "Whether ten seconds would have been enough, had this been alone on the machine."
    return seconds < 10 * max(1, os.getloadavg()[0] / os.cpu_count())


def strike(sweep, fault):
    "Whether a fault has hit, and what must hold after it."
    how, status = FAULTS[fault]
    how(sweep)
    began = time.time()
    try:
        try: sweep.process.wait(120 if fault in ASKED else 600)
        except subprocess.TimeoutExpired: pytest.fail(f'{fault}: nothing has ended\n{sweep.said}')
        took, ended, said = time.time() - began, sweep.process.returncode, sweep.said
        assert ended in (status, 0), f'{fault}: {ended}\n{said}'
        assert 'Traceback' not in said or fault == 'KILL', said
        assert not (left := sweep.left()), f'{fault}: {left}'
        if ended and fault in ASKED: assert 'the same command continues' in said and soon(took), (fault, took, said)
        return ended != 0
    finally: sweep.end()


def finish(*asked):
    "The same command up to its end."
    sweep = Sweep(*asked)
    try:
        assert sweep.process.wait(600) == 0, sweep.said
        assert not sweep.left()
    finally: sweep.end()


def numbers(out): return {f.name: f.read_bytes() for f in out.glob('tables/*.csv')}


def results(out):
    "What each run has come to, to the bit."
    records = {f.parent.name: read_record(f.parent) for f in out.glob('runs/*/record.json')}
    files = ('predictions.parquet', 'model.safetensors')
    return {n: (r['metrics'], [r['files'].get(f) for f in files]) for n, r in records.items()}


def check(out, whole):
    "The numbers and the runs of an undisturbed sweep, a report, and nothing that is not finished or can't be read."
    assert numbers(out) == numbers(whole) and numbers(out)
    assert results(out) == results(whole)
    assert (out/'report.html').stat().st_size > 10_000
    left = [str(f.relative_to(out)) for f in out.rglob('*') if LEFTOVERS.match(f.name)]
    assert not left, left
    closed = [str(f) for f in out.rglob('*') if f.is_file() and f.stat().st_mode & 0o444 != 0o444 & ~UMASK]
    assert not closed, closed


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    "A profile of three runs."
    file = tmp_path_factory.mktemp('few')/'few.yaml'
    file.write_text(FEW)
    return file


@pytest.fixture(scope='module')
def both(few):
    "Two commands that were begun at once, in one folder, and what they have said."
    out = few.parent/'out'
    two = Sweep(few, out, '3'), Sweep(few, out, '3')
    try:
        for s in two: assert s.process.wait(500) == 0, s.said
        assert not [p for s in two for p in s.left()]
    finally:
        for s in two: s.end()
    return [s.said for s in two]


@pytest.fixture(scope='module')
def whole(both, few):
    "The folder of a sweep from which nothing was killed."
    return few.parent/'out'


def test_two_sweeps_at_once(both, whole):
    "The second waits for the first; each run is made once, and both tell the same rows."
    made = [n for said in both for n in re.findall(r'^\[\d+/\d+, \d+ s\] (\S+)$', said, re.M)]
    assert len(made) == len(set(made)) == 3 and set(made) == set(results(whole))
    for n in made:
        assert read_record(whole/'runs'/n)['name'] == n
        assert json.loads((whole/'runs'/n/'run.ipynb').read_text(encoding='utf-8'))
    waited = [said for said in both if 'another sweep is at work' in said]
    for said in waited:
        assert re.search(r'another sweep is at work in .* \(process \d+ on \S+, since \d{4}-.*\): waiting', said), said
    rows = [sorted(re.findall(r'^  (3\.\S+) .* -?\d\.\d{4} +\[', said, re.M)) for said in both]
    assert rows[0] == rows[1] == ['3.8']
    check(whole, whole)


def tuning(out): return some(out, 'runs/finetune-*/.code') and not some(out, 'runs/finetune-*/record.json')


@pytest.mark.slow
def test_five_kills(few, whole, tmp_path):
    "While the faces are drawn, in two trainings, as a kernel alone, and while the table's notebook is executed."
    out = tmp_path/'out'
    moments = [('KILL', lambda s: some(out, 'data/.*-*.faces-*/*/*')),
               ('INT', lambda s: epochs(out, 'pretrain', 3)),
               ('kernel', lambda s: tuning(out) and kernels(s)),
               ('TERM', lambda s: 'runs to make' in s.said and kernels(s)),
               ('KILL', lambda s: 'writing the tables' in s.said)]
    for fault, moment in moments:
        sweep = Sweep(few, out, '3')
        try:
            assert sweep.wait_until(lambda: moment(sweep)), sweep.said
            assert strike(sweep, fault), f'{fault} came too late'
        finally: sweep.end()
    finish(few, out, '3')
    check(out, whole)


def local(*more): return '--config', ROOT/'configs'/'local.py', *more


@pytest.mark.slow
def test_the_interchange_is_killed(few, whole, tmp_path):
    "Parsl would wait for ever for runs that it can no longer hear of."
    out = tmp_path/'out'
    sweep = Sweep(few, out, '3', *local())
    try:
        assert sweep.wait_until(lambda: epochs(out, 'pretrain', 3)), sweep.said
        kill(called(sweep, 'interchange.py'))
        assert sweep.process.wait(60) == 2, sweep.said
        assert 'interchange has ended' in sweep.said and 'Traceback' not in sweep.said
        assert not sweep.left()
    finally: sweep.end()
    finish(few, out, '3')
    check(out, whole)


def test_ctrl_c_under_a_configuration(few, whole, tmp_path):
    "In a terminal it reaches all processes of the command's group, Parsl's go-between among them."
    out = tmp_path/'out'
    shutil.copytree(whole/'data', out/'data')
    sweep = Sweep(few, out, '3', *local())
    try:
        assert sweep.wait_until(lambda: epochs(out, 'pretrain', 2)), sweep.said
        assert strike(sweep, 'INT')
    finally: sweep.end()
    assert some(out, 'runs/pretrain-*/checkpoint.pt')


@pytest.fixture
def disk(tmp_path):
    "A file system of its own, of 24 MB."
    if sys.platform != 'linux' or os.geteuid() != 0: pytest.skip('only root can mount a small disk')
    folder = tmp_path/'disk'
    folder.mkdir()
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder], capture_output=True)
    if mounted.returncode: pytest.skip('nothing can be mounted here')
    yield folder
    subprocess.run(['umount', '-l', folder], check=True)


FULL = r'the disk of .* is full: free some space, the same command continues'


def fills(few, disk, room):
    "The command on a disk with `room` bytes, which must tell that it is full."
    filler = disk/'filler'
    filler.write_bytes(bytes(24 * 2**20 - room))
    sweep = Sweep(few, disk/'out', '3', log=few.parent)
    try:
        status = sweep.process.wait(500)
        assert status == 2 and re.search(FULL, sweep.said) and 'Traceback' not in sweep.said, sweep.said
        assert not sweep.left()
    finally: sweep.end()
    filler.unlink()


def test_a_disk_that_fills_while_faces_are_drawn(few, disk):
    "One sentence, and nothing half done."
    fills(few, disk, 200_000)
    assert not [f for f in (disk/'out').rglob('*') if f.is_file() and LEFTOVERS.match(f.name)]


@pytest.mark.slow
@pytest.mark.parametrize('room', [1_500_000, 3_000_000])
def test_a_disk_that_fills_later(few, whole, disk, room):
    "The same command goes on."
    fills(few, disk, room)
    finish(few, disk/'out', '3')
    check(disk/'out', whole)


def later(sweep, rnd):
    "Whether a command is still at work at a random moment, soon or not so soon."
    moment = time.time() + rnd.choice([rnd.uniform(.5, 4), rnd.uniform(4, 20)])
    return sweep.wait_until(lambda: time.time() > moment)


def struck(sweep, rnd, processes):
    "The faults that have hit a sweep: one that it goes on after, perhaps, and one that ends it; None: it had ended."
    hit, weak = [], rnd.choice(['', 'kernel', 'worker' if processes else 'forks'])
    try:
        if weak and not sweep.wait_until(lambda: kernels(sweep)): return None
        if not later(sweep, rnd): return None
        if weak: FAULTS[weak][0](sweep)
        until = time.time() + 30 # a kernel that was at work is missed by then
        if not weak or sweep.wait_until(lambda: 'FAILED' in sweep.said or time.time() > until):
            hit.append(rnd.choice(['KILL', *ASKED]))
        if hit and not strike(sweep, hit[0]): hit = []
        assert hit or sweep.process.returncode in (0, 2) and not sweep.left(), sweep.said
        return hit + ([weak] if weak and 'FAILED' in sweep.said else [])
    finally: sweep.end()


@pytest.mark.slow
def test_forty_kills(tmp_path):
    "Faults of all kinds at random moments of whole sweeps, by threads and by worker processes: forty that have hit."
    profile, tables, rnd, hit, done = tmp_path/'many.yaml', '2,3,4', random.Random(0), [], 0
    profile.write_text(MANY)
    finish(profile, tmp_path/'whole', tables)
    while len(hit) < 40:
        out, found = tmp_path/f'out-{done}', []
        while len(hit) < 40 and found is not None:
            more = rnd.choice([(), local()])
            found = struck(Sweep(profile, out, tables, *more), rnd, more)
            hit += found or []
        finish(profile, out, tables)
        check(out, tmp_path/'whole')
        shutil.rmtree(out)
        done += 1
    print(f'{len(hit)} faults in {done} sweeps: ' + ', '.join(f'{f} {hit.count(f)}' for f in FAULTS))
    assert set(hit) == set(FAULTS)
