"""What happens around the training steps: averaging, checkpoints, records, progress, stopping."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import WeightAveraging

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact._utils.interrupt import StopRequest
from poseact.training.lightning_module import MultitaskTraining
from poseact.training.loaders import PoseData
from poseact.training.optimisation import warm_average
from poseact.training.run_record import RunTable, Stopwatch, draw_curve

_log = logging.getLogger(__name__)


class Averaging(WeightAveraging):
    """Exponential moving average of the weights, fast at first; it is scored and kept.

    Args:
        decay: Of the average.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(avg_fn=partial(warm_average, decay))

    def on_train_end(self, *_: Any) -> None:
        """Leave the weights as they are, for the last checkpoint is still to be written."""

    def put_into(self, module: L.LightningModule) -> None:
        """Put the average in place of the weights."""
        self._copy_average_to_current(module)


def ends_step(trainer: L.Trainer, batch_index: int) -> bool:
    """Whether a batch is the last one of its step."""
    return (batch_index + 1) % trainer.accumulate_grad_batches == 0


class StopOnSignal(L.Callback):
    """Ends the run after the step in hand on SIGINT or SIGTERM, in all processes together."""

    def __init__(self) -> None:
        self.request = StopRequest()

    def on_train_start(self, *_: Any) -> None:
        """Listen."""
        self.request.__enter__()

    def on_train_batch_end(
        self, trainer: L.Trainer, _: Any, __: Any, ___: Any, batch_idx: int
    ) -> None:
        """Pass a request on to the trainer, which then validates no more."""
        if not ends_step(trainer, batch_idx):
            return
        if trainer.strategy.reduce_boolean_decision(bool(self.request), all=False):
            trainer.should_stop = True
            trainer.limit_val_batches = 0

    def on_train_end(self, *_: Any) -> None:
        """Give the signals back."""
        self.request.__exit__()

    def on_exception(self, *_: Any) -> None:
        """Give the signals back."""
        self.request.__exit__()


class CheckpointFile(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all, and remembers why it could not.

    It does not raise, for the other processes of a run wait for the one that writes.
    """

    failure: PoseActError | None = None

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ARG002 - of remote file systems
    ) -> None:
        """See Lightning."""
        content = BytesIO()
        torch.save(checkpoint, content)
        self.failure = None
        try:
            atomic_write(Path(path), lambda partial: partial.write_bytes(content.getbuffer()))
        except PoseActError as error:
            self.failure = error


class Checkpoints(L.Callback):
    """Keeps the state of the run in one file, renewed every few minutes and at the end.

    Only states between two steps are kept. A checkpoint that cannot be written leaves the one
    before as it is; on the way that is a warning, at the end an error.

    Args:
        path: The file.
        minutes: Time between two checkpoints.
        file: The trainer's writer.
    """

    def __init__(self, path: Path, minutes: float, file: CheckpointFile) -> None:
        self.path = path
        self.seconds = 60 * minutes
        self.file = file
        self._saved = time.monotonic()
        self._saved_step = -1
        self._between_steps = True

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._saved = time.monotonic()

    def on_train_batch_start(self, *_: Any) -> None:
        """From here to the end of the batch the state is half old, half new."""
        self._between_steps = False

    def on_train_batch_end(
        self, trainer: L.Trainer, _: Any, __: Any, ___: Any, batch_idx: int
    ) -> None:
        """Save when the run stops or when it is time, which the first process decides for all."""
        self._between_steps = ends_step(trainer, batch_idx)
        due = trainer.should_stop or time.monotonic() - self._saved >= self.seconds
        if self._between_steps and trainer.strategy.broadcast(due):
            self.try_to_save(trainer)

    def on_validation_start(self, *_: Any) -> None:
        """From here to the end of the validation the average stands in place of the weights."""
        self._between_steps = False

    def on_validation_end(self, *_: Any) -> None:
        """The weights are back."""
        self._between_steps = True

    def on_train_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save the last state."""
        if self._saved_step != trainer.global_step:
            self.save(trainer)

    def on_exception(self, trainer: L.Trainer, *_: Any) -> None:
        """Save what there is when the data gave out; never a half-done step."""
        if self._between_steps and trainer.world_size == 1 and trainer.global_step:
            self.try_to_save(trainer)

    def try_to_save(self, trainer: L.Trainer) -> None:
        """Write the checkpoint, or warn."""
        try:
            self.save(trainer)
        except PoseActError as error:
            _log.warning("%s The checkpoint before it is intact.", error)

    def save(self, trainer: L.Trainer) -> None:
        """Write the checkpoint.

        Raises:
            PoseActError: It cannot be written.
        """
        trainer.save_checkpoint(self.path)
        self._saved = time.monotonic()
        if self.file.failure is not None:
            raise self.file.failure
        self._saved_step = trainer.global_step


class Progress(NamedTuple):
    """How far a run has come.

    Attributes:
        step: Steps done.
        steps: Steps of the whole run.
        loss: Mean of the last steps.
        images_per_second: Of all processes, validation and checkpoints not counted.
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
        """Drop what an interrupted run wrote after its last checkpoint."""
        if trainer.is_global_zero:
            self.table.cut(trainer.global_step)
        self._clock = Stopwatch()

    def on_train_batch_start(self, *_: Any) -> None:
        """The batch has come."""
        self._clock.batch_came()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, _: Any, batch: Any, *__: Any
    ) -> None:
        """Count the images, and write a row when it is time."""
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
        """Write the scores."""
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
        """Draw the whole run."""
        if trainer.is_global_zero:
            self._draw()

    def _draw(self) -> None:
        rows = self.table.rows()
        if rows:
            with _no_reason_to_stop():
                draw_curve(rows, self.picture)

    def _add(self, trainer: L.Trainer, row: dict[str, float]) -> None:
        with _no_reason_to_stop():
            self.table.add(row)
        values = {name: value for name, value in row.items() if name != "step"}
        for logger in trainer.loggers:
            with _no_reason_to_stop():
                logger.log_metrics(values, step=int(row["step"]))
        _log.info("  ".join(f"{name} {value:.5g}" for name, value in row.items()))


@contextmanager
def _no_reason_to_stop() -> Iterator[None]:
    """A record that cannot be written is a warning."""
    try:
        yield
    except (PoseActError, OSError, ValueError) as error:
        # Lightning makes a ValueError of what TensorBoard's writer says.
        _log.warning("%s The run goes on.", error)
