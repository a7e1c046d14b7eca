"""Making the missing chunks: this process's share of them, with networks and writing at the same time.

Owns the order of work within a process. Three kinds of threads: this one claims chunks and draws their latents; the
networks' threads do nothing else; writers encode, hash and sync.

The networks' threads compute a micro-batch each, see `threads.py`, in the order of the chunks. What a kill loses is
what no finished chunk holds: about as many micro-batches as there are threads, half made, and the chunks to which these
belong or which are being written. Of a pair of images (four micro-batches to a chunk) that was measured to be up to two
chunks with one or two threads and eight with sixteen.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np

from mmmi_hf.common.progress import progress_bar
from mmmi_hf.dataset.generation.chunks import ChunkStore
from mmmi_hf.dataset.generation.launcher import Place
from mmmi_hf.dataset.generation.rows import MICRO_BATCH, Prepared, class_labels, finish, images_of, prepare
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.flow.threads import CancellingPool, network_threads

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

WRITERS = 2
POLL_SECONDS = 0.5


@dataclass(eq=False)
class _Chunk:
    """A claimed chunk on its way: first its images are made, then it is written."""

    index: int
    prepared: Prepared
    images: list[Future[np.ndarray]]
    written: Future[None] | None = None


class Maker:
    """Makes the chunks of one configuration that this process can claim.

    Args:
        config, bijections, wanted: what the rows are; see `rows.py`.
        store: held by this run.
        place: this process among those of the run.
        progress: show the rows of all processes.

    Attributes:
        rows_made: by this process.
        network_fraction: part of the time that the networks' threads spent in bijections.
    """

    def __init__(
        self,
        config: MMMIConfig,
        bijections: dict[str, Bijection],
        store: ChunkStore,
        wanted: datasets.Features,
        place: Place,
        *,
        progress: bool,
    ) -> None:
        self.config = config
        self.bijections = bijections
        self.store = store
        self.wanted = wanted
        self.place = place
        self.progress = progress
        self.rows_made = 0
        self.network_fraction = 0.0
        self._network_seconds: list[float] = []
        self._labels = class_labels(config)
        self._ranges = store.ranges(config.rows)

    def run(self, *, reading_all: bool = False) -> None:
        """Make what is missing.

        Process 0 stays until every chunk is there, and makes what other processes leave behind when they die. The
        others leave when nothing is left to claim.

        Args:
            reading_all: read again even what this run has written.
        """
        self._reading_all = reading_all
        self._sound: set[int] = set()
        self._damaged: dict[int, dict[str, Any]] = {}
        self._network_seconds.clear()
        on_cpu = all(bijection.device.type == "cpu" for bijection in self.bijections.values())
        begin = time.perf_counter()
        there = self.store.rows_there(self.config.rows)
        already = self.store.rows_by_run(self.config.rows)
        with ExitStack() as stack:
            self._bar = stack.enter_context(
                progress_bar(
                    f"generating {self.config.name}"
                    + (f" ({self.place.world_size} processes)" if self.place.world_size > 1 else ""),
                    self.config.rows,
                    initial=max(0, there - already),
                    shown=self.progress and self.place.rank == 0,
                )
            )
            self._initial = self._bar.n - self.rows_made
            self._writers = stack.enter_context(CancellingPool(WRITERS))
            self._networks, workers = stack.enter_context(network_threads(on_cpu))
            self._warm_up()
            self._work(lookahead=workers)
        self.network_fraction = sum(self._network_seconds) / (workers * (time.perf_counter() - begin))

    def _warm_up(self) -> None:
        """A network compiles itself when it is first called, which several threads at once must not ask of it."""
        for name, bijection in self.bijections.items():
            self._networks.submit(bijection.warm_up, MICRO_BATCH, self._labels[name]).result()

    def _work(self, lookahead: int) -> None:
        """Keep `lookahead` micro-batches waiting beside those that the networks have in hand."""
        flying: deque[_Chunk] = deque()
        per_chunk = max(1, len(self._labels) * (self.store.chunk_rows // MICRO_BATCH))
        most = 1 + -(-2 * lookahead // per_chunk)
        while True:
            for index in self._claimed():
                prepared = prepare(self.config, self._ranges[index])
                images = [
                    self._networks.submit(self._image, name, prepared.latents[name][batch])
                    for name, batch in prepared.micro_batches()
                ]
                flying.append(_Chunk(index, prepared, images))
                while len(flying) >= most:
                    self._advance(flying)
            while flying:
                self._advance(flying)
            if self.place.rank != 0 or self._complete():
                self._show()
                return
            time.sleep(POLL_SECONDS)

    def _claimed(self) -> Iterator[int]:
        """The chunks that are missing and that no other process is making, each claimed."""
        for index in self.place.order(list(self._ranges)):
            if index in self._sound:
                continue
            self.store.refresh()
            if self._is_there(index):
                self._sound.add(index)
            elif self.store.alive and self.store.claim(index):
                self.store.refresh()
                if self._is_there(index):  # entered between the first look and the claim
                    self.store.release(index)
                    self._sound.add(index)
                else:
                    yield index

    def _is_there(self, index: int) -> bool:
        """Whether a chunk needs no more work. What this run has entered is read again only when it is packed.

        A damaged chunk is read and named once; it is there when the journals have a newer entry.
        """
        rows = len(self._ranges[index])
        entry = self.store.entry(index, rows)
        if entry is None or entry is self._damaged.get(index):
            return False
        if entry["run"] == self.store.run and not self._reading_all:
            return True
        mine = self.place.rank == 0 or index % self.place.world_size == self.place.rank
        if not mine or self.store.intact(index, rows):
            return True
        self._damaged[index] = entry
        return False

    def _complete(self) -> bool:
        self.store.refresh()
        return all(index in self._sound or self._is_there(index) for index in self._ranges)

    def _image(self, name: str, latents: np.ndarray) -> np.ndarray:
        begin = time.perf_counter()
        images = images_of(self.bijections[name], self._labels[name], latents)
        self._network_seconds.append(time.perf_counter() - begin)
        return images

    def _advance(self, flying: deque[_Chunk]) -> None:
        """Wait until something of the oldest chunks is done, and pass it on."""
        waiting: list[Future[Any]] = []
        for chunk in flying:
            waiting += [chunk.written] if chunk.written else [image for image in chunk.images if not image.done()]
        if waiting and not any(future.done() for future in waiting):
            wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        for chunk in list(flying):
            if chunk.written is None and all(image.done() for image in chunk.images):
                images = [image.result() for image in chunk.images]
                chunk.written = self._writers.submit(self._write, chunk, images)
            elif chunk.written is not None and chunk.written.done():
                chunk.written.result()
                self._sound.add(chunk.index)
                self.rows_made += len(chunk.prepared.rows)
                flying.remove(chunk)
        self._show(flying)

    def _write(self, chunk: _Chunk, images: list[np.ndarray]) -> None:
        table = finish(self.config, self.bijections, chunk.prepared, images, self.wanted)
        self.store.write(chunk.index, table)
        self.store.release(chunk.index)

    def _show(self, flying: deque[_Chunk] | tuple[()] = ()) -> None:
        """Rows that are there, those of other processes by their journals and those in hand by their micro-batches."""
        in_hand = sum(
            len(chunk.prepared.rows) * sum(image.done() for image in chunk.images) / len(chunk.images)
            for chunk in flying
        )
        others = self.store.rows_by_run(self.config.rows, others=True) if self.place.world_size > 1 else 0
        now = min(self.config.rows, int(self._initial + self.rows_made + others + in_hand))
        self._bar.update(max(0, now - self._bar.n))
