"""The record of a run: a table of its steps and a picture of it."""

from __future__ import annotations

import csv
import time
from pathlib import Path

from matplotlib.figure import Figure

from poseact._utils.files import atomic_write

Row = dict[str, float]

_PERCENT = ("pck", "pckh", "accuracy")
_MM = ("pa_mpjpe", "depth")


class RunTable:
    """A CSV file of rows with a step each; its columns grow with the rows.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[Row]:
        """All rows, without the empty cells."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]

    def add(self, row: Row) -> None:
        """Append a row."""
        self._write([*self.rows(), row])

    def cut(self, step: int) -> None:
        """Drop the rows after a step."""
        if self.path.exists():
            self._write([row for row in self.rows() if row["step"] <= step])

    def _write(self, rows: list[Row]) -> None:
        columns = list(dict.fromkeys(name for row in rows for name in row))

        def write(partial: Path) -> None:
            with partial.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)

        atomic_write(self.path, write)


class Stopwatch:
    """Times batches, and how long the network waited for each."""

    def __init__(self) -> None:
        self.batches = 0
        self.images = 0
        self._start = self._last = time.perf_counter()
        self._waited = 0.0

    def batch_came(self) -> None:
        """The wait for a batch is over."""
        now = time.perf_counter()
        self._waited += now - self._last
        self._last = now

    def batch_done(self, images: int) -> None:
        """A batch of so many images was learned from."""
        self.batches += 1
        self.images += images
        self._last = time.perf_counter()

    @property
    def images_per_second(self) -> float:
        """Since the start."""
        return self.images / (time.perf_counter() - self._start)

    @property
    def wait_share(self) -> float:
        """Share of the time that was spent waiting for data."""
        return self._waited / (time.perf_counter() - self._start)


def draw_curve(rows: list[Row], path: Path) -> None:
    """Draw loss, scores in percent and errors in mm over the steps."""
    panels = (
        ("training loss", "", 1, ("loss", "joints", "depth", "heatmap", "action")),
        ("validation, %", "", 100, _named(rows, _PERCENT)),
        ("validation, mm", "", 1, _named(rows, _MM)),
    )
    shown = [panel for panel in panels if any(name in row for row in rows for name in panel[3])]
    figure = Figure(figsize=(4.5 * max(len(shown), 1), 3.8), layout="constrained")
    for place, (title, unit, factor, names) in enumerate(shown, 1):
        axes = figure.add_subplot(1, len(shown), place)
        for name in names:
            points = [(row["step"], factor * row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
        axes.set(title=title, xlabel="step", ylabel=unit, yscale="log" if place == 1 else "linear")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    atomic_write(path, lambda partial: figure.savefig(partial, dpi=110))


def _named(rows: list[Row], metrics: tuple[str, ...]) -> tuple[str, ...]:
    names = dict.fromkeys(name for row in rows for name in row)
    return tuple(name for name in names if name.partition("/")[2] in metrics)
