"""Which process of a run this is, which device it uses, and in which order it takes up the work.

Owns the use of `accelerate.PartialState`. The processes of a run wait for each other once, when they start; after that
there is no collective, hence nothing that a dead process could hold up.
"""

from __future__ import annotations

import atexit
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from mmmi_hf.common.failures import Failure

if TYPE_CHECKING:
    from accelerate import PartialState

logger = logging.getLogger(__name__)
Item = TypeVar("Item")

MINUTES_TO_MEET = 10


class Processes:
    """The processes of a run, seen from one of them.

    Args:
        state: Accelerate's; `start` makes it.
        on_cpu: leave GPUs alone.

    Attributes:
        rank: 0 … world_size − 1; process 0 merges what all have made.
        world_size: number of processes.
    """

    def __init__(self, state: PartialState, *, on_cpu: bool = False) -> None:
        self._state = state
        self._on_cpu = on_cpu
        self.rank = int(state.process_index)
        self.world_size = int(state.num_processes)

    def device(self, wanted: str | None = None) -> str:
        """The torch device of this process: its own GPU where there is one, else the CPU.

        Args:
            wanted: "cpu", "cuda" (the process's own one), or "cuda:1"; None chooses.
        """
        own = self._state.device
        if wanted is None:
            return str(own) if own.type == "cuda" and not self._on_cpu else "cpu"
        return str(own) if wanted == own.type else wanted

    def order(self, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        """The items of this process's own share, and all others, in the order in which it takes them up.

        The shares are neighbouring items. The others begin with what the process before it does last, and go backwards.
        """
        with self._state.split_between_processes(list(range(len(items)))) as own:
            first, end = (own[0], own[-1] + 1) if own else (len(items), len(items))
        return list(items[first:end]), [*items[end:], *items[:first]][::-1]


def start(device: str | None = None) -> Processes:
    """Meet the other processes of the run, if a launcher started some. torch keeps its number of threads.

    Args:
        device: what `generate` was given; "cpu" leaves GPUs alone.

    Raises:
        Failure: not all processes came within ten minutes.
        ValueError: variables of a launcher that make no sense.
    """
    import torch
    from accelerate import PartialState

    said = _said(os.environ)
    on_cpu = said.on_cpu or device == "cpu" or not torch.cuda.is_available()
    threads, was_there = torch.get_num_threads(), torch.distributed.is_initialized()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="OMP_NUM_THREADS")  # the number is set back
            # `cpu` makes it look for other processes: without it, processes on CPUs do not find each other.
            state = PartialState(cpu=on_cpu and said.meeting, timeout=timedelta(minutes=MINUTES_TO_MEET))
    except (RuntimeError, ValueError) as error:
        PartialState._shared_state.clear()
        raise Failure(f"the {said.processes} processes did not meet: {' '.join(str(error).split())}") from error
    finally:
        torch.set_num_threads(threads)
    if torch.distributed.is_initialized() and not was_there:
        atexit.register(state.destroy_process_group)
    if said.processes > state.num_processes:
        logger.warning(
            "a launcher was asked for %s processes (%s), Accelerate sees one, which does all the work; start them by "
            "torchrun --nproc_per_node N, or on CPUs by ACCELERATE_USE_CPU=true accelerate launch --multi_gpu "
            "--num_processes N, or unset what a launcher left in the shell",
            said.processes if said.variables != "ACCELERATE_MIXED_PRECISION" else "several",
            said.variables,
        )
    return Processes(state, on_cpu=on_cpu)


@dataclass(frozen=True)
class _Said:
    """What a launcher says: how many processes, in which variables, where they meet, whether GPUs are to be left."""

    processes: int
    variables: str
    meeting: bool
    on_cpu: bool


def _said(environment: Mapping[str, str]) -> _Said:
    """The only place where the variables of launchers are read."""
    on_cpu = environment.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"):
        if value := environment.get(name):
            if not value.isdecimal():
                raise ValueError(f"{name} must be a number of processes, got {value!r}; a launcher sets it")
            return _Said(int(value), f"{name}={value}", bool(environment.get("MASTER_ADDR")), on_cpu)
    if "ACCELERATE_MIXED_PRECISION" in environment and "MASTER_PORT" in environment:
        # `accelerate launch --cpu --num_processes 2` starts one process, with the settings of two.
        return _Said(2, "ACCELERATE_MIXED_PRECISION", False, on_cpu)
    return _Said(1, "", False, on_cpu)
