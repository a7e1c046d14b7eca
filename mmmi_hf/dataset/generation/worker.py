"""Making the missing shards: this process's share, then whatever is not there, with networks and writing side by side.

Owns the order of work within a process. Four kinds of threads: this one draws latents; the networks' threads do nothing
else, see `flow/threads.py`; writers encode and keep pieces; one writes the shard whose pieces are there.

A process waits for nobody. It looks at what others have written about twice a second, skips that, and makes the rest,
so that the last one living completes the set; what is made twice is what two had in hand at a time. A kill loses the
micro-batches that the networks or the writers have in hand.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mmmi_hf.common.progress import progress_bar
from mmmi_hf.dataset.generation.launcher import Processes
from mmmi_hf.dataset.generation.pieces import DamagedPieceError, Pieces
from mmmi_hf.dataset.generation.rows import MICRO_BATCH, Prepared, class_labels, finish, images_of, prepare, row_threads
from mmmi_hf.dataset.generation.shards import DamagedShardError, Shard, Shards
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.flow.threads import CancellingPool

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

WRITERS = 2
LOOK_SECONDS = 0.5
OPEN_SHARDS = 3
ATTEMPTS = 3


@dataclass(eq=False)
class _Piece:
    """A piece on its way: first its images are made, then it is kept."""

    number: int
    prepared: Prepared
    images: list[Future[np.ndarray]]
    written: Future[None] | None = None


class Maker:
    """Makes shards of one configuration that are not there.

    Args:
        config, bijections: what the rows are; see `rows.py`.
        shards, pieces: where they go.
        wanted: which shards; the others are for others to make.
        scratch: local folder for a shard on its way.
        processes: this process among those of the run.
        before: the names that the work folder held before the run began.
        progress: show the rows of all processes.

    Attributes:
        network_fraction: part of the time that the networks' threads spent in bijections.
    """

    def __init__(
        self,
        config: MMMIConfig,
        bijections: Mapping[str, Bijection],
        shards: Shards,
        pieces: Pieces,
        wanted: Sequence[Shard],
        scratch: Path,
        processes: Processes,
        before: Iterable[str],
        *,
        progress: bool,
    ) -> None:
        self.config = config
        self.bijections = bijections
        self.shards = shards
        self.pieces = pieces
        self.wanted = wanted
        self.scratch = scratch
        self.processes = processes
        self.progress = progress
        self.network_fraction = 0.0
        self._labels = class_labels(config)
        self._network_seconds: list[float] = []
        self._made: set[int] = set()
        self._flying: dict[int, _Piece] = {}
        self._open: dict[Shard, Future[None] | None] = {}
        self._recorded = shards.recorded()
        self._looked = 0.0
        there = {Path(name).stem for name in before}
        self._rows = sum(len(shard.rows) for shard in wanted)
        recorded = {shard.name for shard in wanted if Path(shard.name).stem in there} & self._recorded
        self._before = self._rows_there(recorded, {number for number in pieces.numbers if f"{number:08d}" in there})

    @property
    def rows_made(self) -> int:
        """Rows that were computed since the run began: by this process, or in process 0 by all."""
        size = self.shards.piece_rows
        own = sum(max(0, min(size, self.config.rows - size * number)) for number in self._made)
        return max(own, self._rows - self._before) if self.processes.rank == 0 else own

    def run(self) -> None:
        """Make what is missing. Raises DamagedShardError where that is undone each time."""
        begin = time.perf_counter()
        many = f" ({self.processes.world_size} processes)" if self.processes.world_size > 1 else ""
        shown = self.progress and self.processes.rank == 0
        with ExitStack() as stack:
            there = self._rows_there(self._recorded, self.pieces.numbers)
            bar = progress_bar(f"generating {self.config.name}{many}", self._rows, initial=there, shown=shown)
            self._bar = stack.enter_context(bar)
            self._writers = stack.enter_context(CancellingPool(WRITERS))
            self._finisher = stack.enter_context(CancellingPool(1))
            self._networks, workers = stack.enter_context(row_threads(self.bijections))
            self._warm_up()
            for _ in range(ATTEMPTS):
                own, others = self.processes.order(self.wanted)
                mine = self.shards.missing(own, reading=True)
                late = self.shards.missing(others, reading=False)
                if not mine and not late:
                    break
                self._make(mine, late, most=1 + -(-2 * workers // len(self._labels)))
            else:
                raise DamagedShardError(f"files of {self.shards.data} are damaged each time they are made")
        self.network_fraction = sum(self._network_seconds) / (workers * (time.perf_counter() - begin))

    def _warm_up(self) -> None:
        """A network compiles itself when it is first called, which several threads at once must not ask of it."""
        for name, bijection in self.bijections.items():
            self._networks.submit(bijection.warm_up, MICRO_BATCH, self._labels[name]).result()

    def _make(self, own: Iterable[Shard], others: Iterable[Shard], most: int) -> None:
        """Make some shards with at most `most` pieces in hand."""
        self._look(at_once=True)
        shuffled = random.Random(self.processes.rank)
        todo = [(shard, list(self.shards.pieces(shard))) for shard in own]
        for shard in others:
            pieces = self.shards.pieces(shard)
            todo.append((shard, shuffled.sample(pieces, len(pieces))))
        for shard, numbers in todo:
            while len(self._open) >= OPEN_SHARDS:
                self._advance()
            for number in numbers:
                self._look()
                if shard.name in self._recorded:
                    break
                if number not in self.pieces.numbers and number not in self._flying:
                    self._begin(number)
                while len(self._flying) >= most:
                    self._advance()
            self._open[shard] = None
        while self._flying or self._open:
            self._advance()
        self._look(at_once=True)

    def _begin(self, number: int) -> None:
        prepared = prepare(self.config, self._held(number))
        images = [
            self._networks.submit(self._image, name, prepared.latents[name][batch])
            for name, batch in prepared.micro_batches()
        ]
        self._flying[number] = _Piece(number, prepared, images)

    def _image(self, name: str, latents: np.ndarray) -> np.ndarray:
        begin = time.perf_counter()
        images = images_of(self.bijections[name], self._labels[name], latents, name in self.config.model.law.missing)
        self._network_seconds.append(time.perf_counter() - begin)
        return images

    def _keep(self, piece: _Piece) -> None:
        images = [image.result() for image in piece.images]
        self.pieces.write(piece.number, finish(self.config, self.bijections, piece.prepared, images))

    def _write(self, shard: Shard) -> None:
        self.shards.put(shard, self._rows_of(shard), self._rows_of(shard), self.scratch)

    def _rows_of(self, shard: Shard) -> Iterator[pa.Table]:
        for number in self.shards.pieces(shard):
            held = self._held(number)
            wanted = _common(held, shard.rows)
            yield self.pieces.read(number).slice(wanted.start - held.start, len(wanted))

    def _advance(self) -> None:
        """Pass on what is done; if that is nothing, wait for something, or until it is time to look around."""
        if not (self._passed_pieces() | self._passed_shards()):
            pending: list[Future[Any]] = [future for future in self._open.values() if future]
            for piece in self._flying.values():
                pending += [piece.written] if piece.written else [image for image in piece.images if not image.done()]
            wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
        self._look()

    def _passed_pieces(self) -> bool:
        passed = False
        for piece in list(self._flying.values()):
            if piece.written is None and all(image.done() for image in piece.images):
                piece.written = self._writers.submit(self._keep, piece)
            elif piece.written is not None and piece.written.done():
                piece.written.result()
                self._made.add(piece.number)
                del self._flying[piece.number]
            else:
                continue
            passed = True
        return passed

    def _passed_shards(self) -> bool:
        passed = False
        for shard, written in list(self._open.items()):
            if written is None and shard.name not in self._recorded:
                if self.pieces.numbers.issuperset(self.shards.pieces(shard)):
                    self._open[shard] = self._finisher.submit(self._write, shard)
                elif not any(number in self._flying for number in self.shards.pieces(shard)):
                    del self._open[shard]  # pieces are gone: somebody has finished the shard, or the next attempt does
                else:
                    continue
            elif written is None or written.done():
                del self._open[shard]
                if written is not None:
                    self._settle(shard, written)
            else:
                continue
            passed = True
        return passed

    def _settle(self, shard: Shard, written: Future[None]) -> None:
        """What follows when a shard was written."""
        try:
            written.result()
        except DamagedPieceError:
            for number in self.shards.pieces(shard):  # all that are damaged are made again in one attempt
                with suppress(DamagedPieceError):
                    self.pieces.read(number)
            return
        self._recorded.add(shard.name)
        others = [other for other in self.shards.all if other.name not in self._recorded]
        waiting = {number for other in others for number in self.shards.pieces(other)}
        self.pieces.drop(set(self.shards.pieces(shard)) - waiting)

    def _look(self, *, at_once: bool = False) -> None:
        """See what others have done, whether the folder is still there and ours, and show how far all are."""
        if at_once or time.monotonic() - self._looked > LOOK_SECONDS:
            self.shards.check()
            self.pieces.refresh()
            self._recorded = self.shards.recorded()
            there = self._rows_there(self._recorded, self.pieces.numbers)
            self._bar.update(max(0, there - self._bar.n))
            self._looked = time.monotonic()

    def _held(self, number: int) -> range:
        """The rows of a piece."""
        return range(number * self.shards.piece_rows, (number + 1) * self.shards.piece_rows)

    def _rows_there(self, recorded: set[str], pieces: set[int]) -> int:
        """Rows in finished shards and, of the others, in pieces."""
        return sum(
            len(shard.rows)
            if shard.name in recorded
            else sum(
                len(_common(self._held(number), shard.rows)) for number in self.shards.pieces(shard) if number in pieces
            )
            for shard in self.wanted
        )


def _common(a: range, b: range) -> range:
    return range(max(a.start, b.start), min(a.stop, b.stop))
