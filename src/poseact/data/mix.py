"""Composition of batches: data sets mixed by ratios, reproducible from any step."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from poseact._utils.errors import PoseActError


class UnitKey(NamedTuple):
    """A still or clip of a data set, and the number of the pass over that set that reads it."""

    epoch: int
    index: int


class RowKey(NamedTuple):
    """One row of a batch.

    Attributes:
        source: Place of the data set.
        units: The clip, or the stills that stand side by side.
        size: Side of the crops in px.
    """

    source: int
    units: tuple[UnitKey, ...]
    size: int


class MixedSource(NamedTuple):
    """Facts about a data set that mixing needs.

    Attributes:
        count: Number of units.
        units_per_row: 1 for clips as long as the rows; T for stills in rows of T.
    """

    count: int
    units_per_row: int


def rows_of(ratios: Mapping[str, float], rows: int) -> dict[str, int]:
    """Integer numbers of rows that are closest to the ratios and add up to ``rows``.

    Raises:
        PoseActError: A data set would get no row.
    """
    total = sum(ratios.values())
    exact = {name: rows * ratio / total for name, ratio in ratios.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: rows - sum(counts.values())]:
        counts[name] += 1
    for name, count in counts.items():
        if count == 0:
            raise PoseActError(
                f"A batch of {rows} rows has none for {name} at its ratio of "
                f"{ratios[name] / total:.3f}; give a larger batch or a larger ratio."
            )
    return counts


@dataclass(frozen=True)
class MixedBatches(Sampler[list[RowKey]]):
    """Endless batches with a fixed number of rows of each data set.

    Batches may take turns: with several turns, each has its own numbers of rows, 0 where a data set
    waits. Each data set is shuffled again for every pass over it. Everything follows from the seed
    and the batch's number, so a run can be resumed anywhere, and the processes of a distributed run
    share the units without overlap.

    Attributes:
        sources: The data sets, in the order of the row keys.
        turns: Rows of each data set in a batch, for the batches that follow each other in a cycle.
        seed: Of the shuffles.
        size_at: Side of the crops in px by the number of the batch.
        first_batch: Where to begin.
        rank: Number of this process.
        world_size: Number of processes.
    """

    sources: tuple[MixedSource, ...]
    turns: tuple[tuple[int, ...], ...]
    seed: int
    size_at: Callable[[int], int]
    first_batch: int = 0
    rank: int = 0
    world_size: int = 1

    def __iter__(self) -> Iterator[list[RowKey]]:
        # The current shuffle of every data set is cached, and the last one for rows across epochs.
        shuffle = lru_cache(maxsize=2 * len(self.sources))(self._shuffle)
        for batch in itertools.count(self.first_batch):
            yield [
                self._row(source, row, batch, shuffle)
                for source, rows in enumerate(self.turns[batch % len(self.turns)])
                for row in range(rows)
            ]

    def _row(
        self, source: int, row: int, batch: int, shuffle: Callable[[int, int], np.ndarray]
    ) -> RowKey:
        total, per_row = self.sources[source]
        rows = [turn[source] for turn in self.turns]
        cycle, place = divmod(batch, len(rows))
        before = cycle * sum(rows) + sum(rows[:place])
        count = before * self.world_size + self.rank * rows[place] + row
        units: list[UnitKey] = []
        for number in range(count * per_row, (count + 1) * per_row):
            epoch, place = divmod(number, total)
            units.append(UnitKey(epoch, int(shuffle(source, epoch)[place])))
        return RowKey(source, tuple(units), self.size_at(batch))

    def _shuffle(self, source: int, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, source, epoch)).permutation(
            self.sources[source].count
        )
