"""Record of the epochs of a head training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, cast

import lightning as L

from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.action_evaluation import ActionProtocol, evaluate
from poseact.models.sequence import ActionNetwork
from poseact.training.callbacks import Averaging
from poseact.training.engine import TrainingModule

Row = dict[str, float]
OnProgress = Callable[[int, int, Row], None]

# Number of evaluations on the validation clips per run.
_VALIDATIONS = 8


class EpochRecord(L.Callback):
    """Records one row per epoch, and scores the validation clips a few times per run.

    Args:
        network: Network to be scored.
        epochs: Epochs of the run.
        steps: Steps per epoch.
        averaging: Gives the averaged weights, if these are to be scored.
        validation: Validation clips.
        on_progress: Called after every epoch.
    """

    def __init__(
        self,
        network: ActionNetwork,
        epochs: int,
        steps: int,
        averaging: Averaging | None,
        validation: Sequence[PoseSequence],
        on_progress: OnProgress | None,
    ) -> None:
        self.network, self.epochs, self.steps = network, epochs, steps
        self.averaging, self.validation, self.on_progress = averaging, validation, on_progress
        self.rows: list[Row] = []
        self._terms: Row = {}
        self._start = time.perf_counter()
        shares = range(1, _VALIDATIONS + 1)
        self._scored = {round(epochs * share / _VALIDATIONS) for share in shares}

    def state_dict(self) -> dict[str, Any]:
        """The rows, and the sums of the current epoch."""
        return {"rows": self.rows, "terms": self._terms}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self._terms = state_dict["rows"], state_dict["terms"]
        self._start -= self.rows[-1]["seconds"] if self.rows else 0.0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Add the loss of the step, and a row at the end of the epoch."""
        module = cast(TrainingModule, pl_module)
        for name, value in module.take_terms().items():
            self._terms[name] = self._terms.get(name, 0.0) + value / self.steps
        number, rest = divmod(trainer.global_step, self.steps)
        if rest:
            return
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        row = {"epoch": number, **self._terms, "lr": rate}
        if self.validation and number in self._scored:
            row |= self._validate(module)
        self._terms = {}
        self.rows.append(row | {"seconds": time.perf_counter() - self._start})
        if self.on_progress is not None:
            self.on_progress(number, self.epochs, self.rows[-1])

    def _validate(self, module: TrainingModule) -> Row:
        """Accuracy on the centre windows, by stream."""
        with nullcontext() if self.averaging is None else self.averaging.applied(module):
            scores = evaluate(self.network, self.validation, ActionProtocol("centre"))
        module.train()
        return {
            f"accuracy/{name}": scores.stream(name).accuracy for name in scores.log_probabilities
        }
