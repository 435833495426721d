"""Runs by worker processes of this machine: one for each GPU, or without GPUs one for each core.

    affect tables --config configs/local.py

A worker that has a GPU sees no other, so that each run has one of its own. To leave some of the machine to others, write
fewer GPUs or workers below. Without `--config` the same runs are made by threads of the command itself, which is simpler.
"""
from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

from affect_nb.sweep.ensure import machine

CORES, GPUS = machine() # number of cores, list of the GPUs' numbers
WORKERS = len(GPUS) or CORES

config = Config(
    executors=[HighThroughputExecutor(
        label='local', address='127.0.0.1', provider=LocalProvider(init_blocks=1, max_blocks=1),
        max_workers_per_node=WORKERS, cores_per_worker=CORES / WORKERS, available_accelerators=[str(g) for g in GPUS])],
    strategy='none', usage_tracking=0)
