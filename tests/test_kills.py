"""A whole sweep, from the first drawing to the report, while processes are killed and the disk fills: the same command goes on, and the tables are the same.

After each fault nothing of the sweep is at work any more, and at the end nothing unfinished lies about."""
import os, random, re, shutil, signal, subprocess, sys, time, uuid

import psutil, pytest

from common import AFFECT, ENV, ROOT

pytestmark = pytest.mark.skipif(os.name == 'nt', reason='no signals')
FEW = "base: smoke\nrows: ['3.8']\npretrain: {epochs: 12}\n"
ORPHANS, LEFTOVERS = 20, re.compile(r'\.\d+-\d+\.|\.parsl$|\.sweep\.json$|checkpoint\.pt$|best-|error\.txt$|.*\.part\.npy$')


class Sweep:
    "The command, in a session of its own as in a terminal of its own; its processes are known by a mark in their environment."
    def __init__(self, profile, out, tables, *more, log=None):
        self.mark, self.out = uuid.uuid4().hex, out
        env = {**ENV, 'PYTHONUTF8': '1', 'AFFECT_CORES': '1', 'KILLS_MARK': self.mark}
        command = [AFFECT, 'tables', '--profile', profile, '--tables', tables, '--out', out, '--workers', '1', *more]
        self.log = (log or out.parent)/f'{self.mark}.txt'
        with open(self.log, 'wb') as f: self.process = subprocess.Popen([*map(str, command)], env=env, stdout=f, stderr=subprocess.STDOUT, start_new_session=True)

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


def kernels(sweep): return [p for p in sweep.family() if 'ipykernel' in ' '.join(p.cmdline())]


def workers(sweep): return [p for p in sweep.family() if 'spawn_main' in ' '.join(p.cmdline())]


def kill(processes):
    for p in processes:
        try: p.kill()
        except psutil.NoSuchProcess: pass


FAULTS = dict(KILL=lambda s: s.process.kill(), TERM=lambda s: s.process.terminate(), INT=lambda s: os.killpg(s.process.pid, signal.SIGINT), kernel=lambda s: kill(kernels(s)), worker=lambda s: kill(workers(s)[-1:]))
STATUS = dict(KILL=(-9,), TERM=(130,), INT=(130,), kernel=(0, 2), worker=(0, 2))


def soon(seconds):
    "Whether that was soon, on a machine that has nothing else to do."
    return seconds < 10 or os.getloadavg()[0] > 2 * os.cpu_count()


def strike(sweep, fault):
    "A fault, and what must hold after it."
    FAULTS[fault](sweep)
    began = time.time()
    try:
        sweep.process.wait(600 if fault in ('kernel', 'worker') else 120)
        took, status = time.time() - began, sweep.process.returncode
        assert status in (*STATUS[fault], 0), f'{fault}: {status}\n{sweep.said}'
        assert 'Traceback' not in sweep.said or fault == 'KILL', sweep.said
        assert not sweep.left(), f'{fault}: {sweep.left()}'
        return took
    finally: sweep.end()


def finish(profile, out, tables, *more):
    "The same command up to its end."
    sweep = Sweep(profile, out, tables, *more)
    try:
        assert sweep.process.wait(600) == 0, sweep.said
        assert not sweep.left()
    finally: sweep.end()


def numbers(out): return {f.name: f.read_bytes() for f in out.glob('tables/*.csv')}


def check(out, whole):
    assert numbers(out) == numbers(whole) and numbers(out)
    assert {f.parent.name for f in out.glob('runs/*/record.json')} == {f.parent.name for f in whole.glob('runs/*/record.json')}
    assert (out/'report.html').stat().st_size > 10_000
    left = [str(f.relative_to(out)) for f in out.rglob('*') if LEFTOVERS.match(f.name)]
    assert not left, left
    closed = [str(f) for f in out.rglob('*') if f.is_file() and f.stat().st_mode & 0o444 != 0o444 & ~UMASK]
    assert not closed, closed


os.umask(UMASK := os.umask(0))


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    "A profile of three runs."
    file = tmp_path_factory.mktemp('few')/'few.yaml'
    file.write_text(FEW)
    return file


@pytest.fixture(scope='module')
def whole(few):
    "The folder of a sweep that nobody disturbed."
    finish(few, few.parent/'out', '3')
    return few.parent/'out'


@pytest.mark.slow
def test_five_kills(few, whole, tmp_path):
    "While the faces are drawn, in two trainings, as a kernel alone, and while the table's notebook is executed."
    out = tmp_path/'out'
    moments = [('KILL', lambda s: some(out, 'data/.*-*.faces-*/*/*')), ('INT', lambda s: epochs(out, 'pretrain', 3)),
               ('kernel', lambda s: some(out, 'runs/finetune-*/.code') and not some(out, 'runs/finetune-*/record.json') and kernels(s)),
               ('TERM', lambda s: 'runs to make' in s.said and kernels(s)), ('KILL', lambda s: 'writing the tables' in s.said)]
    for fault, moment in moments:
        sweep = Sweep(few, out, '3')
        try:
            assert sweep.wait_until(lambda: moment(sweep)), sweep.said
            took = strike(sweep, fault)
        finally: sweep.end()
        if fault in ('INT', 'TERM'): assert 'the same command continues' in sweep.said and soon(took), (took, sweep.said)
    finish(few, out, '3')
    check(out, whole)


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


@pytest.mark.slow
def test_ctrl_c_under_a_configuration(few, tmp_path):
    "In a terminal it reaches all processes of the command's group, Parsl's go-between among them."
    out = tmp_path/'out'
    sweep = Sweep(few, out, '3', '--config', ROOT/'configs'/'local.py')
    try:
        assert sweep.wait_until(lambda: epochs(out, 'pretrain', 2)), sweep.said
        took = strike(sweep, 'INT')
    finally: sweep.end()
    assert 'the same command continues' in sweep.said and soon(took) and some(out, 'runs/pretrain-*/checkpoint.pt'), (took, sweep.said)


def fills(few, disk, room):
    "The command on a disk with `room` bytes, which must tell that it is full."
    filler = disk/'filler'
    filler.write_bytes(bytes(24 * 2**20 - room))
    sweep = Sweep(few, disk/'out', '3', log=few.parent)
    try:
        status = sweep.process.wait(500)
        assert status == 2 and re.search(r'the disk of .* is full: free some space, the same command continues', sweep.said) and 'Traceback' not in sweep.said, sweep.said
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


@pytest.mark.slow
def test_forty_kills(tmp_path):
    "Faults of all kinds at random moments of whole sweeps, by threads and by worker processes."
    (tmp_path/'many.yaml').write_text("base: smoke\npretrain: {epochs: 6}\n")
    finish(tmp_path/'many.yaml', tmp_path/'whole', '1,2,3,4,5,6')
    rnd, done, struck = random.Random(0), 0, []
    while len(struck) < 40:
        out = tmp_path/f'out-{done}'
        processes = ('--config', ROOT/'configs'/'local.py') if done % 2 else ()
        while len(struck) < 40:
            fault = rnd.choice([f for f in FAULTS if f != 'worker' or processes])
            sweep, moment = Sweep(tmp_path/'many.yaml', out, '1,2,3,4,5,6', *processes), time.time() + rnd.choice([rnd.uniform(.5, 4), rnd.uniform(4, 30)])
            try:
                if not sweep.wait_until(lambda: time.time() > moment): break # it has ended before
                if fault in ('kernel', 'worker') and not dict(kernel=kernels, worker=workers)[fault](sweep): fault = 'KILL'
                took = strike(sweep, fault)
                assert fault not in ('INT', 'TERM') or soon(took), (fault, took)
            finally: sweep.end()
            struck.append(fault)
        finish(tmp_path/'many.yaml', out, '1,2,3,4,5,6')
        check(out, tmp_path/'whole')
        shutil.rmtree(out)
        done += 1
    assert done >= 1 and len(struck) == 40
