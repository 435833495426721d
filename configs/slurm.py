"""Runs by the jobs of a SLURM cluster: a job is one node, and each worker of it makes one run at a time.

    affect tables --profile paper --data data.yaml --config configs/slurm.py

Call it on a login node, in `tmux` or `screen`: the command submits the jobs, waits, and writes the tables. The output folder,
the data and this environment must be seen by all nodes under the same paths. Say what your cluster has by environment
variables, `AFFECT_PARTITION=long AFFECT_HOURS=48 affect tables …`, or copy this file and change the first lines.
A run whose profile says `gpus: 4` needs AFFECT_GPUS_PER_RUN=4: its worker then owns four GPUs. Without GPUs: AFFECT_GPUS=0.
A job that nears its time limit, or is cancelled, ends its runs at a checkpoint; they are told as failed, and the same
command continues them.
"""
import os, sys
from pathlib import Path

from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider

def given(name, default):
    "A constant, or what the environment says instead."
    text = os.environ.get(f'AFFECT_{name}', '')
    return type(default)(text) if text else default

PARTITION = given('PARTITION', 'gpu')    # of the cluster
ACCOUNT = given('ACCOUNT', '')           # that is charged; empty: your own
GPUS = given('GPUS', 4)                  # of a node; 0: it has none
GPUS_PER_RUN = given('GPUS_PER_RUN', 1)  # that a run owns: `gpus` of the profile
CORES = given('CORES', 32)               # of a node
CORES_PER_RUN = given('CORES_PER_RUN', 4) # where there are no GPUs
NODES = given('NODES', 2)                # at most, at once
HOURS = given('HOURS', 24)               # time limit of a job

groups = [','.join(map(str, range(k, k + GPUS_PER_RUN))) for k in range(0, GPUS, GPUS_PER_RUN)]
runs = len(groups) or max(1, CORES // CORES_PER_RUN) # at once, of a node

config = Config(
    executors=[HighThroughputExecutor(
        label='slurm', heartbeat_period=15, heartbeat_threshold=60, # seconds until a lost job is noticed
        max_workers_per_node=runs, cores_per_worker=CORES / runs, available_accelerators=groups,
        provider=SlurmProvider(
            partition=PARTITION, account=ACCOUNT or None, gpus_per_node=GPUS or None, cores_per_node=CORES,
            nodes_per_block=1, init_blocks=1, min_blocks=0, max_blocks=NODES, walltime=f'{HOURS}:00:00', exclusive=False,
            launcher=SrunLauncher(), # a job step: SLURM's signals reach the runs
            scheduler_options='#SBATCH --signal=TERM@120', # two minutes for the checkpoints before the time limit
            worker_init=f'export PATH={Path(sys.executable).parent}:$PATH'))],
    strategy='htex_auto_scale', max_idletime=300, usage_tracking=0)
