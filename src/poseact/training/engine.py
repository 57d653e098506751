"""The one engine of every training: steps, checkpoints, stopping, and what may go wrong."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from torch import Tensor

from poseact._utils.errors import PoseActError
from poseact._utils.files import unwritable
from poseact._utils.interrupt import StopRequest
from poseact.training.callbacks import Averaging, CheckpointFile, Checkpoints, StopOnRequest
from poseact.training.state import RunState


class TrainingModule(L.LightningModule):
    """A network that learns; sums up its loss and the named terms of it.

    Attributes:
        terms: The loss and its terms, summed over the batches since they were last taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, Tensor | float] = {}

    def add_terms(self, loss: Tensor, terms: dict[str, Tensor]) -> Tensor:
        """Add a batch to the sums; returns its loss."""
        for name, value in {"loss": loss, **terms}.items():
            self.terms[name] = self.terms.get(name, 0) + value.detach()
        return loss

    def take_terms(self) -> dict[str, float]:
        """The sums of the loss terms, which start anew."""
        terms = {name: float(value) for name, value in self.terms.items()}
        self.terms = {}
        return terms


def on_device_of(network: torch.nn.Module) -> dict[str, Any]:
    """Options of Lightning's trainer for one process on the device of a network."""
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
    """Train until the last step, or to the end of the step in hand when the run is to be stopped.

    Args:
        module: Learns from the batches.
        data: Batches from the step on that the run goes on from.
        steps: Of the optimiser.
        state: The file that keeps the run; None keeps nothing.
        resume: Go on from that file.
        every: Steps between two checkpoints, beside the first and the last one.
        minutes: Time between two checkpoints.
        stop: The run ends once this is true; None listens to SIGINT and SIGTERM here.
        averaging: Moving average of the weights. It stands in the module in the end.
        callbacks: Called before the run is stopped or kept.
        options: Of Lightning's trainer.

    Returns:
        The trainer, whose ``global_step`` says how far the run has come.

    Raises:
        PoseActError: The module or the data raised it, a data worker died, or the results cannot be
            written.
    """
    # Lightning tells of itself what the report and the progress already say.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    file = CheckpointFile()
    keeping = None if state is None else Checkpoints(state, file, every, minutes)
    listening = StopRequest() if stop is None else nullcontext(stop)
    with listening as request, warnings.catch_warnings():
        # Parts that do not learn are meant to be in eval mode, and one process may be enough.
        warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", category=FutureWarning, module="lightning")
        # A checkpoint holds the step that was just recorded, averaged and asked to be the last.
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
            **{"logger": False, **options},
        )
        with _errors_of(trainer, keeping):
            path = state.path if state is not None and resume else None
            trainer.fit(module, data, ckpt_path=path, weights_only=True)
    if averaging is not None:
        averaging.put_into(module)
    return trainer


@contextmanager
def _errors_of(trainer: L.Trainer, keeping: Checkpoints | None) -> Iterator[None]:
    """What a loader's process, a logger or Lightning raises becomes this process's own error."""
    try:
        yield
    except PoseActError as error:
        # Torch wraps the traceback of the loader's process around the sentence.
        _, wrapped, sentence = str(error).rpartition("PoseActError: ")
        raise PoseActError(sentence.strip()) from error if wrapped else None
    except OSError as error:
        # TensorBoard's, when the trainer puts it away.
        raise unwritable(Path(trainer.default_root_dir), error) from error
    except SystemExit as error:
        # A second signal, which Lightning turns into an exit of its own.
        raise KeyboardInterrupt from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        kept = "" if keeping is None else keeping.describe()
        raise PoseActError(
            f"A process that prepares batches died ({str(error).splitlines()[0]}); it may have run "
            f"out of memory. {kept}Give fewer workers, and resume it."
        ) from error
