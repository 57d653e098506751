"""Callbacks of training: averaging, checkpoints, stopping."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import WeightAveraging

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact.training.optimisation import average_into
from poseact.training.state import RunState

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Averaging(WeightAveraging):
    """Exponential moving average of the weights, faster at the start.

    Args:
        decay: Decay of the average.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=partial(average_into, decay))

    def on_train_end(self, *_: Any) -> None:
        """Keep the weights: the last checkpoint has not been written yet."""

    def put_into(self, module: L.LightningModule) -> None:
        """Replace the weights by their average."""
        self._copy_average_to_current(module)

    @contextmanager
    def applied(self, module: L.LightningModule) -> Generator[None]:
        """Replace the weights by their average within the block."""
        self._swap_models(module)
        try:
            yield
        finally:
            self._swap_models(module)


def ends_step(trainer: L.Trainer, batch_index: int) -> bool:
    """Whether a batch is the last of its step."""
    return (batch_index + 1) % trainer.accumulate_grad_batches == 0


class StopOnRequest(L.Callback):
    """Ends the run after the current step, in all processes together.

    Args:
        request: True once the run is to be stopped.
    """

    def __init__(self, request: object) -> None:
        self.request = request
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}

    def on_train_start(self, *_: Any) -> None:
        """Restore the signal handlers, since Lightning's would end the process."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def on_train_batch_end(
        self, trainer: L.Trainer, _: Any, __: Any, ___: Any, batch_idx: int
    ) -> None:
        """Tell the trainer to stop, without another validation."""
        if not ends_step(trainer, batch_idx):
            return
        if trainer.strategy.reduce_boolean_decision(bool(self.request), all=False):
            trainer.should_stop = True
            trainer.limit_val_batches = 0


class CheckpointFile(TorchCheckpointIO):
    """Writes checkpoints atomically, and remembers an error.

    It does not raise, since the other processes of a run wait for the one that writes.
    """

    failure: PoseActError | None = None

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ARG002 - of remote file systems
    ) -> None:
        content = BytesIO()
        torch.save(checkpoint, content)
        self.failure = None
        try:
            atomic_write(Path(path), lambda partial: partial.write_bytes(content.getbuffer()))
        except PoseActError as error:
            self.failure = error


class Checkpoints(L.Callback):
    """Saves the state of the run in one file, from the first step on.

    Only states between two steps are saved. If a checkpoint cannot be written, the previous one
    stays; that is a warning during the run, and an error at its end.

    Args:
        state: The file and its digest.
        file: The writer of the trainer.
        every: Steps between two checkpoints, if any.
        minutes: Time between two checkpoints.
    """

    def __init__(
        self, state: RunState, file: CheckpointFile, every: int | None, minutes: float
    ) -> None:
        self.state = state
        self.every = every
        self.seconds = 60 * minutes
        self.file = file
        self._saved = time.monotonic()
        self._saved_step = 0
        self._between_steps = True

    def describe(self) -> str:
        """A sentence about what is saved."""
        if not self._saved_step:
            return "No step was done. "
        return f"The run is kept in {self.state.path} up to step {self._saved_step}. "

    def on_save_checkpoint(self, _: Any, __: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["digest"] = self.state.digest

    def on_load_checkpoint(self, _: Any, __: Any, checkpoint: dict[str, Any]) -> None:
        self._saved_step = checkpoint["global_step"]

    def on_train_start(self, *_: Any) -> None:
        self._saved = time.monotonic()

    def on_train_batch_start(self, *_: Any) -> None:
        """Until the end of the batch the state is inconsistent."""
        self._between_steps = False

    def on_train_batch_end(
        self, trainer: L.Trainer, _: Any, __: Any, ___: Any, batch_idx: int
    ) -> None:
        """Save if the run stops or a checkpoint is due, as the first process decides."""
        self._between_steps = ends_step(trainer, batch_idx)
        due = (
            trainer.should_stop
            or trainer.global_step == 1
            or (self.every is not None and trainer.global_step % self.every == 0)
            or time.monotonic() - self._saved >= self.seconds
        )
        if self._between_steps and trainer.strategy.broadcast(due):
            self.try_to_save(trainer)

    def on_validation_start(self, *_: Any) -> None:
        """Until the end of the validation the average replaces the weights."""
        self._between_steps = False

    def on_validation_end(self, *_: Any) -> None:
        self._between_steps = True

    def on_train_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self._saved_step != trainer.global_step:
            self.save(trainer)

    def on_exception(self, trainer: L.Trainer, *_: Any) -> None:
        """Save the state after an error in the data, but never within a step."""
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
        trainer.save_checkpoint(self.state.path)
        self._saved = time.monotonic()
        if self.file.failure is not None:
            raise self.file.failure
        self._saved_step = trainer.global_step
