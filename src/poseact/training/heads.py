"""Training of action heads on cached joints and features, with the pose network frozen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import check_skeleton
from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.action_evaluation import ActionProtocol, evaluate
from poseact.losses import ActionCriterion
from poseact.models.action import STREAMS
from poseact.models.card import Card
from poseact.models.multitask import MultitaskNetwork
from poseact.models.sequence import ActionNetwork, SequenceConfig
from poseact.recipe import OptimiserSpec, ScheduleSpec
from poseact.training.callbacks import Averaging
from poseact.training.clip_augment import ClipAugment
from poseact.training.clip_bank import ClipBank, ClipBatch, WindowDraw
from poseact.training.engine import TrainingModule, on_device_of, run_steps
from poseact.training.optimisation import make_optimiser, rate_factor
from poseact.training.state import RunState, digest_of, weights_of

Streams = Literal["both", "pose"]
Row = dict[str, float]
OnProgress = Callable[[int, int, Row], None]

FRAMES, FPS, EPOCHS = 32, 15.0, 30
"""Default T and frame rate of the windows, and default number of epochs."""

STATE_NAME = "heads.pt"
"""File of a run's state within its folder."""

# With the default momentum, the running means of a few hundred steps would still be biased.
_NORM_MOMENTUM = 0.1

# Small sets are seen several times per epoch, so that an epoch has enough steps to learn from.
_LEAST_STEPS = 8

# Number of evaluations on the validation clips per run.
_VALIDATIONS = 8


@dataclass(frozen=True)
class HeadRecipe:
    """Settings of head training; the defaults were chosen on validation parts of training data.

    Raises:
        PoseActError: A number is out of range.
    """

    batch: int = 64
    """Windows per step."""
    optimiser: OptimiserSpec = field(
        default_factory=lambda: OptimiserSpec(name="adamw", lr=4e-3, weight_decay=0.05, ema=0.99)
    )
    warm_up: float = 0.1
    """Share of the steps with a rising learning rate; a cosine decay follows."""
    label_smoothing: float = 0.1
    """See :class:`ActionCriterion`."""
    augment: ClipAugment = field(default_factory=ClipAugment)
    action_blocks: int = 4
    """Prediction blocks of a network that reads poses only."""
    pose_filters: int = 8
    """Channels of its narrowest convolution."""
    pose_width: int = 28
    """Half the width of its blocks."""

    def __post_init__(self) -> None:
        if self.batch < 2 or not 0 <= self.warm_up <= 1 or not 0 <= self.label_smoothing < 1:
            raise PoseActError(
                f"batch={self.batch}, warm_up={self.warm_up} and label_smoothing="
                f"{self.label_smoothing} were given; give at least 2 windows, and shares "
                "between 0 and 1."
            )


@dataclass(frozen=True)
class TrainedActions:
    """Trained heads with the record of the training.

    Attributes:
        network: In eval mode, with the averaged weights and the frame rate on its card.
        record: One row per epoch: ``epoch``, ``loss``, the terms by stream, ``lr``, ``seconds``
            since the start, and ``accuracy/STREAM`` if validation clips were scored.
        finished: False if the run was stopped; the same call resumes it.
    """

    network: ActionNetwork
    record: tuple[Row, ...]
    finished: bool


def train_heads(
    sequences: Sequence[PoseSequence],
    *,
    streams: Streams = "both",
    pose_network: MultitaskNetwork | None = None,
    validation: Sequence[PoseSequence] = (),
    frames: int = FRAMES,
    fps: float = FPS,
    epochs: int = EPOCHS,
    seed: int = 0,
    recipe: HeadRecipe | None = None,
    on_progress: OnProgress | None = None,
    stop: object = False,
    out: Path | None = None,
) -> TrainedActions:
    """Train the action streams on sequences (CVPR 2018, with the pose model frozen).

    Two runs of the same arguments on one machine give the same weights, stopped in between or not.

    Args:
        sequences: Labelled, of one skeleton; with appearance unless ``streams`` is ``pose``.
        streams: ``both`` needs ``pose_network``.
        pose_network: The network that gave the sequences; its stem and pose model are kept. None
            for a :class:`~poseact.models.sequence.SequenceNetwork`.
        validation: Clips that are scored for the record only.
        frames: T of the windows.
        fps: Frame rate of the windows.
        epochs: Each draws about as many windows as there are sequences, balanced over the labels.
        seed: Random seed.
        recipe: All other settings.
        on_progress: Called after an epoch with its number from 1, the total and its row.
        stop: The run ends after the current step once this is true, such as a
            :class:`~poseact._utils.interrupt.StopRequest`.
        out: Folder for the state of the run, saved after every epoch; the state of a run with other
            arguments is replaced.

    Raises:
        PoseActError: The sequences do not fit together or to the network, there are fewer than two
            labels, the loss is not finite, or the state cannot be written.
    """
    recipe = recipe or HeadRecipe()
    check_windows(frames, fps, epochs)
    network = build_network(sequences, streams, pose_network, frames, fps, seed, recipe).eval()
    for sequence in sequences:
        check_skeleton(network, sequence)
    bank = ClipBank(sequences, network.config.labels, network.config.dims, streams == "both")
    steps = max(-(-len(bank) // recipe.batch), _LEAST_STEPS)
    settings = (network.config, fps, recipe, epochs, seed)
    state = None
    if out is not None:
        digest = digest_of(settings, bank.contents(), weights_of(network))
        state = RunState(Path(out) / STATE_NAME, digest)
    begun = state.find() if state is not None else None
    windows = WindowDraw(frames, fps, recipe.augment, recipe.batch, steps, seed)
    averaging = Averaging(recipe.optimiser.ema) if recipe.optimiser.ema else None
    record = EpochRecord(network, epochs, steps, averaging, validation, on_progress)
    run_steps(
        HeadTraining(network, recipe, steps * epochs),
        bank.batches(windows, begun["global_step"] if begun else 0),
        steps * epochs,
        state=state,
        resume=begun is not None,
        every=steps,
        stop=stop,
        averaging=averaging,
        callbacks=[record],
        gradient_clip_val=recipe.optimiser.clip_norm,
        **on_device_of(network),
    )
    return TrainedActions(network.eval(), tuple(record.rows), len(record.rows) == epochs)


def check_windows(frames: int = FRAMES, fps: float = FPS, epochs: int = EPOCHS) -> None:
    """Refuse impossible windows and epochs; arguments as of `train_heads`.

    Raises:
        PoseActError: One is out of range.
    """
    if epochs < 1 or frames < 2 or fps <= 0:
        raise PoseActError(
            f"epochs={epochs}, frames={frames} and fps={fps} were given; give at least 1 epoch, "
            "windows of at least 2 frames and a positive frame rate."
        )


def build_network(
    sequences: Sequence[PoseSequence],
    streams: Streams,
    pose_network: MultitaskNetwork | None,
    frames: int,
    fps: float,
    seed: int,
    recipe: HeadRecipe,
) -> ActionNetwork:
    """A network with new heads for the labels of the sequences; arguments as of `train_heads`.

    Raises:
        PoseActError: There are fewer than two labels, or the appearance stream has no network
            that gives its features.
    """
    labels = tuple(sorted({s.label for s in sequences if s.label is not None}))
    if len(labels) < 2:
        raise PoseActError(
            f"The sequences have {len(labels)} different labels; give at least 2 actions."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if pose_network is not None:
            return _on_top_of(pose_network, labels, streams, frames, fps)
        if streams != "pose":
            raise PoseActError(
                "The appearance stream needs the network that gave its features; give "
                "pose_network, or streams='pose'."
            )
        network = SequenceConfig(
            sequences[0].skeleton,
            labels,
            frames=frames,
            coordinates=min(sequence.joints.shape[-1] for sequence in sequences),
            action_blocks=recipe.action_blocks,
            pose_filters=recipe.pose_filters,
            pose_width=recipe.pose_width,
        ).build()
    network.card = Card(fps=fps)
    return network


def _on_top_of(
    pose_network: MultitaskNetwork,
    labels: tuple[str, ...],
    streams: Streams,
    frames: int,
    fps: float,
) -> MultitaskNetwork:
    if pose_network.folded:
        raise PoseActError("A folded copy of a network was given; give the original network.")
    network = replace(
        pose_network.config,
        labels=labels,
        streams=STREAMS if streams == "both" else STREAMS[:1],
        person_square=True,
        frames=frames,
    ).build()
    for part in ("stem", "pose_model"):
        getattr(network, part).load_state_dict(getattr(pose_network, part).state_dict())
    network.card = replace(pose_network.card, fps=fps, temperature=1.0, unknown_below=None)
    return network


class HeadTraining(TrainingModule):
    """Action heads that learn from cached windows.

    Args:
        network: Network whose action model is trained.
        recipe: Settings of the loss and the optimiser.
        steps: Steps of the whole run.
    """

    def __init__(self, network: ActionNetwork, recipe: HeadRecipe, steps: int) -> None:
        super().__init__()
        head = network.action_model
        assert head is not None
        self.head = head
        # Not the network itself, which would make its frozen parts submodules of this one.
        self.recognise = network.recognise
        self.recipe, self.steps = recipe, steps
        self.criterion = ActionCriterion(recipe.label_smoothing)
        for module in head.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = _NORM_MOMENTUM
        # Lightning keeps the modes as they are.
        self.train()

    def training_step(self, batch: ClipBatch, _: int) -> Tensor:
        """Loss of a batch.

        Raises:
            PoseActError: It is not finite; the message names the clips.
        """
        terms = self.criterion(self.recognise(*batch.inputs), batch.targets)
        loss = self.criterion.total(terms)
        if not loss.isfinite():
            raise PoseActError(
                f"The loss is {loss.item()} in the batch of {', '.join(batch.names)}; look at "
                "these sequences, or lower the learning rate."
            )
        return self.add_terms(loss, terms)

    def configure_optimizers(self) -> dict[str, Any]:
        """The recipe's optimiser, with warm-up and cosine decay."""
        optimiser = make_optimiser(self.head, self.recipe.optimiser)
        spec = ScheduleSpec(warm_up=round(self.recipe.warm_up * self.steps))
        schedule = LambdaLR(optimiser, lambda step: rate_factor(step, self.steps, spec))
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


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
        """Restore the rows and sums."""
        self.rows, self._terms = state_dict["rows"], state_dict["terms"]
        self._start -= self.rows[-1]["seconds"] if self.rows else 0.0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Add the loss of the step, and a row at the end of the epoch."""
        module = cast(HeadTraining, pl_module)
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

    def _validate(self, module: HeadTraining) -> Row:
        """Accuracy on the centre windows, by stream."""
        with nullcontext() if self.averaging is None else self.averaging.applied(module):
            scores = evaluate(self.network, self.validation, ActionProtocol("centre"))
        module.train()
        return {
            f"accuracy/{name}": scores.stream(name).accuracy for name in scores.log_probabilities
        }
