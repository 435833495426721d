"A sweep on a real SLURM of one node: Debian's slurm-wlm, started here and stopped again."
import os, shutil, socket, subprocess, time
from pathlib import Path

import psutil, pytest

from common import AFFECT, ENV, ROOT

NEEDED = ('munged', 'slurmctld', 'slurmd', 'sbatch', 'scancel')
pytestmark = [pytest.mark.slow, pytest.mark.cluster,
              pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason='no SLURM here: apt-get install slurm-wlm'),
              pytest.mark.skipif(os.name == 'nt' or os.geteuid() != 0, reason='the daemons of SLURM need root')]
CONF = '''ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/{track}
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
'''
CGROUP = 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\n'
FREEZER = Path('/sys/fs/cgroup/freezer') # where it is, SLURM finds all processes of a job, as it does on most clusters


@pytest.fixture(scope='module')
def slurm(tmp_path_factory):
    "The environment of a user of the cluster."
    root, host = tmp_path_factory.mktemp('slurm'), socket.gethostname()
    for part in ('state', 'spool'): (root/part).mkdir()
    track = 'cgroup' if os.access(FREEZER/'tasks', os.W_OK) else 'linuxproc'
    (root/'slurm.conf').write_text(CONF.format(root=root, host=host, cores=os.cpu_count(), ports=free_ports(2),
                                               track=track))
    (root/'cgroup.conf').write_text(CGROUP if track == 'cgroup' else '')
    (root/'munge.key').write_bytes(os.urandom(1024))
    (root/'munge.key').chmod(0o600)
    env = {**ENV, 'SLURM_CONF': str(root/'slurm.conf')}
    munge = ['munged', '--foreground', '--force', *(f'--{k}={root}/munge.{v}' for k, v in
             (('socket', 'sock'), ('key-file', 'key'), ('pid-file', 'pid'), ('seed-file', 'seed'),
              ('log-file', 'log')))]
    daemons = []
    try:
        for command in (munge, ['slurmctld', '-D'], ['slurmd', '-D', '-N', host]):
            daemons.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(1)
        until(lambda: 'idle' in ask(env, 'sinfo', '-h', '-o', '%T'), 30)
        yield {**env, 'AFFECT_PARTITION': 'test', 'AFFECT_GPUS': '0', 'AFFECT_CORES': str(os.cpu_count()),
               'AFFECT_CORES_PER_RUN': str(os.cpu_count()), 'AFFECT_NODES': '1', 'AFFECT_HOURS': '1'}
    finally:
        subprocess.run(['scancel', '--user=root'], env=env)
        for d in daemons[::-1]: d.terminate()
        for d in daemons: d.wait(30)


def free_ports(n):
    "Numbers of ports that nobody has."
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(n)]
    try: return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets: s.close()


def ask(env, *command): return subprocess.run(command, env=env, capture_output=True, text=True).stdout


def until(true, seconds):
    "Wait for something."
    end = time.time() + seconds
    while time.time() < end:
        if found := true(): return found
        time.sleep(.2)
    raise AssertionError(f'nothing within {seconds} s')


def tables(profile, out, env=ENV, *more):
    "Start the command."
    command = [AFFECT, 'tables', '--tables', '3', '--profile', profile, '--out', out, *more]
    return subprocess.Popen([str(c) for c in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


def numbers(out): return (out/'tables'/'table_3.csv').read_bytes()


def check_nothing_is_left(slurm):
    """No job, and no process that was started by one or by the command: they all know where the partition's name came
    from."""
    until(lambda: not ask(slurm, 'squeue', '-h').strip(), 60)
    until(lambda: not [p for p in psutil.process_iter()
                       if all(environment(p).get(k) == slurm[k] for k in ('SLURM_CONF', 'AFFECT_PARTITION'))], 20)


def environment(process):
    try: return process.environ()
    except psutil.Error: return {}


CONFIG = '--config', ROOT/'configs'/'slurm.py'


@pytest.fixture(scope='module')
def local(tmp_path_factory):
    "A profile of three runs, and the folder in which this machine has made them without SLURM."
    folder = tmp_path_factory.mktemp('local')
    (folder/'few.yaml').write_text("base: smoke\nrows: ['3.8']\npretrain: {epochs: 25}\n")
    command = tables(folder/'few.yaml', folder/'out')
    said = command.communicate(timeout=300)[0]
    assert command.returncode == 0, said
    return folder/'few.yaml', folder/'out'


def test_jobs_make_the_same_tables(slurm, local, tmp_path):
    command = tables(local[0], tmp_path/'jobs', slurm, *CONFIG)
    said = command.communicate(timeout=300)[0]
    assert command.returncode == 0, said
    assert numbers(tmp_path/'jobs') == numbers(local[1])
    check_nothing_is_left(slurm)


def test_a_job_that_is_cancelled_leaves_its_checkpoint(slurm, local, tmp_path):
    first = tables(local[0], tmp_path/'jobs', slurm, *CONFIG)
    log = until(lambda: next((tmp_path/'jobs').glob('runs/pretrain-*/log.csv'), None), 120)
    until(lambda: len(log.read_text().splitlines()) > 2, 60)
    subprocess.run(['scancel', ask(slurm, 'squeue', '-h', '-t', 'R', '-o', '%i').split()[0]], env=slurm, check=True)
    said = first.communicate(timeout=240)[0]
    assert first.returncode != 0 and 'stopped in epoch' in said and 'the same command continues from' in said, said
    assert (log.parent/'checkpoint.pt').is_file() and not (log.parent/'record.json').exists()
    before = len(log.read_text().splitlines())
    check_nothing_is_left(slurm)

    again = tables(local[0], tmp_path/'jobs', slurm, *CONFIG)
    said = again.communicate(timeout=300)[0]
    assert again.returncode == 0 and len(log.read_text().splitlines()) == 26 > before, said
    assert numbers(tmp_path/'jobs') == numbers(local[1])
    check_nothing_is_left(slurm)
