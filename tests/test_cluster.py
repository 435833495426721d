"A sweep on a real SLURM of one node: Debian's slurm-wlm, started here and stopped again."
import os, shutil, signal, socket, subprocess, time
from pathlib import Path

import pytest

from common import AFFECT, ENV, ROOT

NEEDED = ('munged', 'slurmctld', 'slurmd', 'sbatch', 'scancel')
pytestmark = [pytest.mark.slow, pytest.mark.cluster,
              pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason='no SLURM here: apt-get install slurm-wlm'),
              pytest.mark.skipif(os.geteuid() != 0, reason='the daemons of SLURM need root')]
CONF = '''ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
'''


@pytest.fixture(scope='module')
def slurm(tmp_path_factory):
    "The environment of a user of the cluster."
    root, host = tmp_path_factory.mktemp('slurm'), socket.gethostname()
    for part in ('state', 'spool'): (root/part).mkdir()
    (root/'slurm.conf').write_text(CONF.format(root=root, host=host, cores=os.cpu_count()))
    (root/'munge.key').write_bytes(os.urandom(1024))
    (root/'munge.key').chmod(0o600)
    env = {**ENV, 'SLURM_CONF': str(root/'slurm.conf'), 'AFFECT_PARTITION': 'test', 'AFFECT_GPUS': '0', 'AFFECT_CORES': '2',
           'AFFECT_CORES_PER_RUN': '2', 'AFFECT_NODES': '1', 'AFFECT_HOURS': '1'}
    munge = ['munged', '--foreground', '--force', *(f'--{k}={root}/munge.{v}' for k, v in
             (('socket', 'sock'), ('key-file', 'key'), ('pid-file', 'pid'), ('seed-file', 'seed'), ('log-file', 'log')))]
    daemons = []
    try:
        for command in (munge, ['slurmctld', '-D'], ['slurmd', '-D', '-N', host]):
            daemons.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(1)
        until(lambda: 'idle' in ask(env, 'sinfo', '-h', '-o', '%T'), 30)
        yield env
    finally:
        subprocess.run(['scancel', '--user=root'], env=env)
        for d in daemons[::-1]: d.terminate()
        for d in daemons: d.wait(30)


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
    return subprocess.Popen([str(c) for c in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def numbers(out): return (out/'tables'/'table_3.csv').read_bytes()


def test_a_sweep_by_jobs_that_are_cancelled(slurm, tmp_path):
    "The same numbers as on this machine, also when the job is cancelled while it trains."
    profile, config = tmp_path/'few.yaml', ('--config', ROOT/'configs'/'slurm.py')
    profile.write_text("base: smoke\nrows: ['3.8']\npretrain: {epochs: 60}\n")
    local = tables(profile, tmp_path/'local')
    said = local.communicate(timeout=300)[0]
    assert local.returncode == 0, said
    first = tables(profile, tmp_path/'jobs', slurm, *config)
    log = until(lambda: next((tmp_path/'jobs').glob('runs/pretrain-*/log.csv'), None), 120)
    until(lambda: len(log.read_text().splitlines()) > 3, 60)
    job = ask(slurm, 'squeue', '-h', '-t', 'R', '-o', '%i').split()[0]
    subprocess.run(['scancel', job], env=slurm, check=True)
    said = first.communicate(timeout=240)[0]
    assert first.returncode == 2 and 'its worker was lost: the same command continues' in said, said
    assert (log.parent/'checkpoint.pt').is_file() and not (log.parent/'record.json').exists()
    before = len(log.read_text().splitlines())
    again = tables(profile, tmp_path/'jobs', slurm, *config)
    said = again.communicate(timeout=300)[0]
    assert again.returncode == 0 and len(log.read_text().splitlines()) == 61 > before, said
    assert numbers(tmp_path/'jobs') == numbers(tmp_path/'local')
    until(lambda: not ask(slurm, 'squeue', '-h').strip(), 60) # no job is left behind
    assert not [p for p in Path('/proc').glob('[0-9]*/cmdline') if str(tmp_path).encode() in read(p)] # nor a process


def read(file):
    try: return file.read_bytes()
    except OSError: return b''
