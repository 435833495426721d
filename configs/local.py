"""Runs by worker processes of this machine: one for each GPU, or without GPUs one for each core.

    affect tables --config configs/local.py

A worker that has a GPU sees no other, so that each run has one of its own. A run whose profile says `gpus: 2` needs
AFFECT_GPUS_PER_RUN=2: its worker then owns two. To leave some of the machine to others, give fewer by environment
variables, `AFFECT_GPUS=2` or `AFFECT_CORES=4`, or name the GPUs in CUDA_VISIBLE_DEVICES. Without `--config` the same
runs are made by threads of the command itself, which is simpler.
"""
import os

from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

from affect_nb.sweep.ensure import from_environment, gpu_groups, machine

cores, numbers = machine()
names = os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',') if numbers else []
names = names if len(names) == len(numbers) else numbers

CORES = from_environment('CORES', cores)           # for as many runs, where there are no GPUs
GPUS = names[:from_environment('GPUS', len(names))] # of this machine
GPUS_PER_RUN = from_environment('GPUS_PER_RUN', 1)  # that a run owns: `gpus` of the profile

groups = gpu_groups(GPUS, GPUS_PER_RUN)

config = Config(
    executors=[HighThroughputExecutor(
        label='local', address='127.0.0.1', provider=LocalProvider(init_blocks=1, max_blocks=1),
        max_workers_per_node=len(groups) or CORES, available_accelerators=groups)],
    strategy='none', usage_tracking=0)
