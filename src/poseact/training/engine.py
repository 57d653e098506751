"""The engine of every training: steps, checkpoints, stopping and errors."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from torch import Tensor

from poseact._utils.device import keep_freed_memory
from poseact._utils.errors import PoseActError
from poseact._utils.files import unwritable
from poseact._utils.interrupt import StopRequest
from poseact.training.callbacks import Averaging, CheckpointFile, Checkpoints, StopOnRequest
from poseact.training.state import RunState


class TrainingModule(L.LightningModule):
    """Base of all trainings; sums the loss and its terms.

    Attributes:
        terms: The loss and its terms, summed over batches until :meth:`take_terms`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, Tensor | float] = {}

    def add_terms(self, loss: Tensor, terms: dict[str, Tensor]) -> Tensor:
        """Add the loss and terms of a batch; returns the loss."""
        for name, value in {"loss": loss, **terms}.items():
            self.terms[name] = self.terms.get(name, 0) + value.detach()
        return loss

    def take_terms(self) -> dict[str, float]:
        """The sums of the terms, which are then reset."""
        terms = {name: float(value) for name, value in self.terms.items()}
        self.terms = {}
        return terms


def on_device_of(network: torch.nn.Module) -> dict[str, Any]:
    """Trainer options for one process on the device of a network."""
    device = next(network.parameters()).device
    places = [device.index or 0] if device.type == "cuda" else 1
    return {"accelerator": device.type, "devices": places}


def run_steps(
    module: TrainingModule,
    data: Iterable[Any] | L.LightningDataModule,
    steps: int,
    *,
    state: RunState | None = None,
    resume: bool = False,
    every: int | None = None,
    minutes: float = float("inf"),
    stop: object = None,
    averaging: Averaging | None = None,
    callbacks: Sequence[L.Callback] = (),
    **options: Any,
) -> L.Trainer:
    """Train until the last step, or to the end of the current step after a stop request.

    Args:
        module: Network, loss and optimiser.
        data: Batches, from the step on at which the run is resumed.
        steps: Steps of the optimiser.
        state: File for the state of the run; None saves nothing.
        resume: Resume from that file.
        every: Steps between two checkpoints; the first and the last step are always saved.
        minutes: Time between two checkpoints.
        stop: The run ends after the current step once this is true; None listens to SIGINT and
            SIGTERM here.
        averaging: Moving average, which finally replaces the weights of the module.
        callbacks: Callbacks that precede stopping and checkpoints.
        options: Options of Lightning's trainer.

    Returns:
        The trainer; ``global_step`` is the number of steps done.

    Raises:
        PoseActError: Raised by the module or the data, or because a loader process died or the
            results cannot be written.
    """
    if not torch.cuda.is_available():
        keep_freed_memory()
    options.setdefault("logger", False)
    file = CheckpointFile()
    keeping = None if state is None else Checkpoints(state, file, every, minutes)
    listening = StopRequest() if stop is None else nullcontext(stop)
    with listening as request, _quiet_lightning():
        # In this order, a checkpoint holds the averaged and recorded state.
        hooks = [averaging, *callbacks, StopOnRequest(request), keeping]
        trainer = L.Trainer(
            max_steps=steps,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            plugins=[file],
            callbacks=[hook for hook in hooks if hook is not None],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        with _errors_of(trainer, keeping):
            path = state.path if state is not None and resume else None
            trainer.fit(module, data, ckpt_path=path, weights_only=True)
    if averaging is not None:
        averaging.put_into(module)
    return trainer


@contextmanager
def _quiet_lightning() -> Generator[None]:
    """Without what reports and progress bars already show, and warnings of what is meant."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Frozen parts are meant to be in eval mode, and one process may be enough.
        warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", category=FutureWarning, module="lightning")
        yield


@contextmanager
def _errors_of(trainer: L.Trainer, keeping: Checkpoints | None) -> Generator[None]:
    """Translate errors of loader processes, loggers and Lightning."""
    try:
        yield
    except PoseActError as error:
        # Torch adds the traceback of the loader process to the message.
        _, wrapped, sentence = str(error).rpartition("PoseActError: ")
        raise PoseActError(sentence.strip()) from error if wrapped else None
    except OSError as error:
        # Raised by TensorBoard when the trainer closes it.
        raise unwritable(Path(trainer.default_root_dir), error) from error
    except SystemExit as error:
        # A second signal, which Lightning turns into SystemExit.
        raise KeyboardInterrupt from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        kept = "" if keeping is None else keeping.describe()
        raise PoseActError(
            f"A process that prepares batches died ({str(error).splitlines()[0]}); it may have run "
            f"out of memory. {kept}Resume it with fewer workers."
        ) from error
