"""Which process of a run this is, which device it uses, and in which order it takes up chunks.

Owns what a launcher (`torchrun`, `accelerate launch`, `mpirun`) says in the environment. There is no process group and
no collective, hence nothing that can time out: the processes of a run meet in the folder, see `chunks.py`. Imports
torch only to choose a device.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_RANK = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
_WORLD_SIZE = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
_LOCAL_RANK = ("LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")
_COMMON = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "PMIX_NAMESPACE", "SLURM_JOB_ID", "SLURM_STEP_ID")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Place:
    """This process among those of its run.

    Attributes:
        rank: 0 … world_size − 1; process 0 packs.
        world_size: number of processes.
        local_rank: number on its machine.
        run: what the processes of this run have in common, and no other run; None for a process alone.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    run: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Place:
        """As the launcher says; without a launcher, a process alone.

        Raises:
            ValueError: numbers that contradict each other.
        """
        given = os.environ if environment is None else environment
        rank, world, local = (_integer(given, names) for names in (_RANK, _WORLD_SIZE, _LOCAL_RANK))
        if world is None or world == 1:
            _say_if_alone_by_mistake(given)
            return cls()
        if rank is None or not 0 <= rank < world:
            raise ValueError(
                f"RANK must be 0 … {world - 1} where WORLD_SIZE is {world}, got {rank}; "
                "start the processes by torchrun or accelerate launch, or unset WORLD_SIZE"
            )
        return cls(rank, world, rank if local is None else local, _run(given, world))

    def order(self, chunks: Sequence[int]) -> list[int]:
        """The chunks in the order in which this process takes them up: every world_size-th from its own, then the rest.

        Any order on any process gives the same files.
        """
        own = list(chunks[self.rank :: self.world_size])
        return own + [index for offset in range(1, self.world_size) for index in self._others(chunks, offset)]

    def _others(self, chunks: Sequence[int], offset: int) -> list[int]:
        """From the last: what another process has yet to do."""
        return list(chunks[(self.rank + offset) % self.world_size :: self.world_size])[::-1]

    def device(self, wanted: str | None = None) -> str:
        """The torch device of this process: its own accelerator where there is one, else the CPU.

        Args:
            wanted: "cpu", "cuda", … (the process's own one of that kind), or "cuda:1"; None chooses.
        """
        import torch

        if wanted is None:
            on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
            wanted = "cuda" if torch.cuda.is_available() and not on_cpu else "cpu"
        if wanted == "cuda" and torch.cuda.is_available():
            return f"cuda:{self.local_rank % torch.cuda.device_count()}"
        return wanted


def _integer(given: Mapping[str, str], names: Sequence[str]) -> int | None:
    """The first of these variables that is set, as an integer."""
    for name in names:
        if given.get(name):
            try:
                return int(given[name])
            except ValueError:
                raise ValueError(f"{name} must be an integer, got {given[name]!r}; the launcher sets it") from None
    return None


def _run(given: Mapping[str, str], world: int) -> str:
    common = [given.get(name, "") for name in _COMMON]
    if given.get("MASTER_ADDR", "") in _LOOPBACK:
        common.append(socket.gethostname())
    if given.get("TORCHELASTIC_RUN_ID") and _integer(given, ("LOCAL_WORLD_SIZE",)) == world:
        common.append(str(os.getppid()))  # all are children of one launcher
    return hashlib.sha256("\n".join([*common, str(world)]).encode()).hexdigest()[:32]


def _say_if_alone_by_mistake(given: Mapping[str, str]) -> None:
    """`accelerate launch --cpu --num_processes 2` starts one process, with the settings of two."""
    if "ACCELERATE_MIXED_PRECISION" in given and "MASTER_PORT" in given and "WORLD_SIZE" not in given:
        logger.warning(
            "accelerate launch was asked for several processes and started one, which does all the work; on CPUs use "
            "torchrun --nproc_per_node N, or ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes N"
        )


def hardware(device: torch.device) -> str:
    """What, besides software, the bits of a network's output depend on: the accelerator's or the processor's kind."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_vendor()} {torch.backends.cpu.get_cpu_capability()}".strip()


def _vendor() -> str:
    """Vendor of the processor: numerical libraries choose their kernels by it."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == "vendor_id":
            return value.strip()
    return platform.processor()
