"""Runs by the jobs of a SLURM cluster: a job is one node, and each worker of it makes one run at a time.

    affect tables --profile paper --data data.yaml --config configs/slurm.py

Call it on a login node, in `tmux` or `screen`: the command submits the jobs, waits, and writes the tables. The output
folder, the data and this environment must be seen by all nodes under the same paths. Say what your cluster has by
environment variables, `AFFECT_PARTITION=long AFFECT_HOURS=48 affect tables …`, or copy this file and change the first
lines.

A run whose profile says `gpus: 4` needs AFFECT_GPUS_PER_RUN=4: its worker then owns four GPUs. Without GPUs:
AFFECT_GPUS=0. Two minutes before its time limit a job ends its runs at a checkpoint; one that is cancelled has as long
as your cluster's `KillWait` for it, mostly 30 seconds. The runs are told as failed, and the same command continues.
"""
import shlex, sys
from pathlib import Path

from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
from parsl.launchers import SimpleLauncher
from parsl.providers import SlurmProvider

from affect_nb.plugins import start_python
from affect_nb.sweep.ensure import from_environment, gpu_groups

PARTITION = from_environment('PARTITION', 'gpu')     # of the cluster
ACCOUNT = from_environment('ACCOUNT', '')            # that is charged; empty: your own
GPUS = from_environment('GPUS', 4)                   # of a node; 0: it has none
GPUS_PER_RUN = from_environment('GPUS_PER_RUN', 1)   # that a run owns: `gpus` of the profile
CORES = from_environment('CORES', 32)                # of a node
CORES_PER_RUN = from_environment('CORES_PER_RUN', 4) # where there are no GPUs
NODES = from_environment('NODES', 2)                 # at most, at once
HOURS = from_environment('HOURS', 24)                # time limit of a job

groups = gpu_groups(range(GPUS), GPUS_PER_RUN)
job = shlex.join(start_python('from affect_nb.sweep.job import job; sys.exit(job(sys.argv[1:]))'))

config = Config(
    executors=[HighThroughputExecutor(
        label='slurm', available_accelerators=groups,
        max_workers_per_node=len(groups) or max(1, CORES // max(1, CORES_PER_RUN)),
        launch_cmd=f'exec {job} {DEFAULT_LAUNCH_CMD}', # the signals of SLURM reach it
        heartbeat_period=15, heartbeat_threshold=60, # seconds until a lost job is noticed
        drain_period=HOURS * 3600 - 300, # seconds; then a job begins no more runs
        provider=SlurmProvider(
            partition=PARTITION, account=ACCOUNT or None, gpus_per_node=GPUS or None, cores_per_node=CORES,
            nodes_per_block=1, init_blocks=1, min_blocks=0, max_blocks=NODES, walltime=f'{HOURS}:00:00',
            exclusive=False,
            launcher=SimpleLauncher(), scheduler_options='#SBATCH --signal=B:TERM@120', # seconds for the checkpoints
            worker_init=f'export PATH={Path(sys.executable).parent}:$PATH'))],
    strategy='htex_auto_scale', max_idletime=300, usage_tracking=0)
