"""Runs by the jobs of a SLURM cluster: a job is one node, and each of its GPUs makes one run at a time.

    affect tables --profile paper --data data.yaml --config configs/slurm.py

Call it on a login node, in `tmux` or `screen`: the command submits the jobs, waits, and writes the tables. The output folder,
the data and this environment must be seen by all nodes under the same paths. Copy this file and change the first lines.
A job that reaches its time limit ends its runs at a checkpoint; they are told as failed, and the same command continues them.
"""
import sys
from pathlib import Path

from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import SlurmProvider

PARTITION = 'gpu'        # of the cluster; None: its default
ACCOUNT = None           # that is charged; None: your own
GPUS = 4                 # of a node
CORES = 32               # of a node
NODES = 2                # at most, at once
HOURS = 24               # time limit of a job

config = Config(
    executors=[HighThroughputExecutor(
        label='slurm', max_workers_per_node=GPUS, cores_per_worker=CORES / GPUS, available_accelerators=GPUS,
        provider=SlurmProvider(
            partition=PARTITION, account=ACCOUNT, gpus_per_node=GPUS, cores_per_node=CORES, nodes_per_block=1,
            init_blocks=1, min_blocks=0, max_blocks=NODES, walltime=f'{HOURS}:00:00', exclusive=False,
            worker_init=f'export PATH={Path(sys.executable).parent}:$PATH'))],
    strategy='htex_auto_scale', max_idletime=300, usage_tracking=0)
