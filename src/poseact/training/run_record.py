"""The record of a run: TensorBoard log and figure of the curves beside its table."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning as L
import torch
from matplotlib.figure import Figure

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact.training.lightning_module import MultitaskTraining
from poseact.training.loaders import PoseData
from poseact.training.run_table import Row, RunTable

_log = logging.getLogger(__name__)

_PERCENT = ("pck", "pckh", "accuracy")
_MM = ("pa_mpjpe", "depth")


class Stopwatch:
    """Measures the speed of training and the time spent waiting for data."""

    def __init__(self) -> None:
        self.batches = 0
        self.images = 0
        self._start = self._last = time.perf_counter()
        self._waited = 0.0

    def batch_came(self) -> None:
        """A batch has arrived."""
        now = time.perf_counter()
        self._waited += now - self._last
        self._last = now

    def batch_done(self, images: int) -> None:
        """A training step is done."""
        self.batches += 1
        self.images += images
        self._last = time.perf_counter()

    @property
    def images_per_second(self) -> float:
        return self.images / (time.perf_counter() - self._start)

    @property
    def wait_share(self) -> float:
        """Share of the time spent waiting for data."""
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


class Progress(NamedTuple):
    """Progress of a run.

    Attributes:
        step: Steps done.
        steps: Steps of the whole run.
        loss: Mean loss of the last steps.
        images_per_second: Images of all processes per second, without validation.
    """

    step: int
    steps: int
    loss: float
    images_per_second: float


OnProgress = Callable[[Progress], None]


class Record(L.Callback):
    """The run's table, ``log.csv``, its TensorBoard log and its picture, ``curve.png``.

    Args:
        folder: Of the run.
        every: Steps between two rows.
        data: Counts the pictures that could not be read.
        on_progress: Called with every row.
    """

    def __init__(
        self, folder: Path, every: int, data: PoseData, on_progress: OnProgress | None
    ) -> None:
        self.data = data
        self.table = RunTable(folder / "log.csv")
        self.picture = folder / "curve.png"
        self.every = every
        self.on_progress = on_progress
        self._clock = Stopwatch()

    def on_train_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Drop rows that an interrupted run wrote after its last checkpoint."""
        if trainer.is_global_zero:
            self.table.cut(trainer.global_step)
        self._clock = Stopwatch()

    def on_train_batch_start(self, *_: Any) -> None:
        self._clock.batch_came()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, _: Any, batch: Any, *__: Any
    ) -> None:
        """Count the images, and write a row when one is due."""
        images = batch.images.shape[0] * batch.images.shape[1]
        self._clock.batch_done(images * trainer.world_size)
        self.data.tally.add(batch.unreadable)
        if self._clock.batches >= self.every * trainer.accumulate_grad_batches:
            self._write(trainer, cast(MultitaskTraining, pl_module))

    def _write(self, trainer: L.Trainer, module: MultitaskTraining) -> None:
        batches = self._clock.batches
        terms = {
            name: float(trainer.strategy.reduce(torch.tensor(value / batches), reduce_op="mean"))
            for name, value in module.take_terms().items()
        }
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        row = {
            "step": trainer.global_step,
            "lr": rate,
            **terms,
            "images_per_second": self._clock.images_per_second,
            "wait_share": self._clock.wait_share,
        }
        self._clock = Stopwatch()
        if not trainer.is_global_zero:
            return
        self._add(trainer, row)
        if self.on_progress is not None:
            self.on_progress(
                Progress(
                    trainer.global_step,
                    module.recipe.steps,
                    terms["loss"],
                    row["images_per_second"],
                )
            )

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module = cast(MultitaskTraining, pl_module)
        if trainer.is_global_zero:
            scores = {
                f"{name}/{metric}": value
                for name, scores in module.scores.items()
                for metric, value in scores.means().items()
            }
            self._add(trainer, {"step": trainer.global_step, **scores})
            self._draw()
        self._clock = Stopwatch()
        module.take_terms()

    def on_train_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.is_global_zero:
            self._draw()

    def _draw(self) -> None:
        rows = self.table.rows()
        if rows:
            with _only_warning():
                draw_curve(rows, self.picture)

    def _add(self, trainer: L.Trainer, row: dict[str, float]) -> None:
        with _only_warning():
            self.table.add(row)
        values = {name: value for name, value in row.items() if name != "step"}
        for logger in trainer.loggers:
            with _only_warning():
                logger.log_metrics(values, step=int(row["step"]))
        _log.info("  ".join(f"{name} {value:.5g}" for name, value in row.items()))


@contextmanager
def _only_warning() -> Iterator[None]:
    """Turn an error in writing the record into a warning."""
    try:
        yield
    except (PoseActError, OSError, ValueError) as error:
        # Lightning turns errors of TensorBoard's writer into ValueErrors.
        _log.warning("%s The run continues.", error)
