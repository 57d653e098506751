"""Training of action heads on cached joints and features; the pose network stays as it is."""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact.actions.clip_inputs import ActionNetwork, check_skeleton, window_fps
from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.action_evaluation import ActionProtocol, evaluate
from poseact.losses import ActionCriterion
from poseact.models.action import STREAMS
from poseact.models.base import Card
from poseact.models.multitask import MultitaskNetwork
from poseact.models.sequence import SequenceConfig
from poseact.recipe import OptimiserSpec, ScheduleSpec
from poseact.training.clip_augment import ClipAugment
from poseact.training.clip_bank import ClipBank
from poseact.training.optimisation import make_optimiser, rate_factor, warm_average
from poseact.training.state import read_state

Streams = Literal["both", "pose"]
Row = dict[str, float]
OnProgress = Callable[[int, int, Row], None]

FRAMES, FPS, EPOCHS = 32, 15.0, 30
"""Defaults of a training: T and rate of the windows, and rounds."""

_log = logging.getLogger(__name__)

STATE_NAME = "heads.pt"
"""File of a run's state within its folder."""

# Running means of a run of a few hundred steps would still hold their start at the networks' own.
_NORM_MOMENTUM = 0.1

# A small set is seen several times an epoch, so that an epoch is enough steps to learn from.
_LEAST_STEPS = 8

# Times that validation clips are scored in a run.
_VALIDATIONS = 8


@dataclass(frozen=True)
class HeadRecipe:
    """How heads are trained; the defaults were chosen on validation parts of training data.

    Raises:
        PoseActError: A number is out of range.
    """

    batch: int = 64
    """Windows of a step."""
    optimiser: OptimiserSpec = field(
        default_factory=lambda: OptimiserSpec(name="adamw", lr=4e-3, weight_decay=0.05, ema=0.99)
    )
    warm_up: float = 0.1
    """Share of the steps in which the learning rate rises; then it falls by a cosine."""
    label_smoothing: float = 0.1
    """See :class:`ActionCriterion`."""
    augment: ClipAugment = field(default_factory=ClipAugment)
    action_blocks: int = 4
    """Prediction blocks of a stream that reads poses alone."""
    pose_filters: int = 8
    """Its narrowest convolution."""
    pose_width: int = 28
    """Half the width of its blocks."""

    def __post_init__(self) -> None:
        if self.batch < 2 or not 0 <= self.warm_up <= 1 or not 0 <= self.label_smoothing < 1:
            raise PoseActError(
                f"batch={self.batch}, warm_up={self.warm_up} and label_smoothing="
                f"{self.label_smoothing} were given; give at least 2 windows, and shares of 1."
            )


@dataclass(frozen=True)
class TrainedActions:
    """Heads and how they came about.

    Attributes:
        network: In eval mode, with the averaged weights and the frame rate on its card.
        record: One row per epoch: ``epoch``, ``loss``, the terms by stream, ``lr``, ``seconds``
            since the start, and where validation clips were scored ``accuracy/STREAM``.
        finished: False where the run was stopped; run again, it goes on.
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
        pose_network: Gave the sequences; the result holds its stem and pose model untouched. None
            for a :class:`~poseact.models.sequence.SequenceNetwork`.
        validation: Scored now and then for the record; nothing is chosen by it.
        frames: T of the windows.
        fps: Of the windows.
        epochs: Each draws about as many windows as there are sequences, every label as often.
        seed: Of all chance.
        recipe: The rest of the settings.
        on_progress: Called after an epoch with its number from 1, the total and its row.
        stop: The run ends where it is once this is true, such as a
            :class:`~poseact._utils.interrupt.StopRequest`.
        out: Folder that keeps the run's state after each epoch; the state of other arguments is
            replaced.

    Raises:
        PoseActError: The sequences do not fit together or to the network, there are fewer than two
            labels, the loss is not finite, or the state cannot be written.
    """
    recipe = recipe or HeadRecipe()
    check_windows(frames, fps, epochs)
    network = build_network(sequences, streams, pose_network, frames, fps, seed, recipe)
    for sequence in sequences:
        check_skeleton(network, sequence)
    bank = ClipBank(sequences, network.config.labels, network.config.dims, streams == "both")
    training = _Training(network, bank, recipe, epochs, seed)
    path = None if out is None else Path(out) / STATE_NAME
    training.run(validation, on_progress, stop, path)
    record = tuple(training.record)
    return TrainedActions(training.averaged(), record, len(record) == epochs)


def check_windows(frames: int = FRAMES, fps: float = FPS, epochs: int = EPOCHS) -> None:
    """Refuse windows and rounds that cannot be; arguments as `train_heads`'s.

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
    """A network with fresh heads for the labels of the sequences; arguments as `train_heads`'s.

    Raises:
        PoseActError: There are fewer than two labels, or appearance is wanted without a network
            that gives it.
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
                "Appearance was asked for without the network that gives it; give pose_network, "
                "or streams='pose'."
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
        raise PoseActError("A folded copy of a network was given; give the one it was made from.")
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


class _Training:
    """A run between two epochs: the network, its averaged heads, the optimiser, the record."""

    def __init__(
        self, network: ActionNetwork, bank: ClipBank, recipe: HeadRecipe, epochs: int, seed: int
    ) -> None:
        head = network.action_model
        assert head is not None
        self.network, self.head, self.bank = network.eval(), head, bank
        self.recipe, self.epochs, self.seed = recipe, epochs, seed
        self.criterion = ActionCriterion(recipe.label_smoothing)
        self.record: list[Row] = []
        for module in head.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = _NORM_MOMENTUM
        self.average = AveragedModel(
            head, avg_fn=partial(warm_average, recipe.optimiser.ema or 0.0), use_buffers=True
        )
        self.optimiser = make_optimiser(head, recipe.optimiser)
        self.steps = max(-(-len(bank) // recipe.batch), _LEAST_STEPS)
        total = self.steps * epochs
        schedule = ScheduleSpec(warm_up=round(recipe.warm_up * total))
        self.schedule = LambdaLR(self.optimiser, lambda step: rate_factor(step, total, schedule))

    def run(
        self,
        validation: Sequence[PoseSequence],
        on_progress: OnProgress | None,
        stop: object,
        path: Path | None,
    ) -> None:
        """Train until the last epoch or the wish to stop; arguments as `train_heads`'s."""
        if path is not None:
            self.resume(path)
        start = time.perf_counter() - (self.record[-1]["seconds"] if self.record else 0.0)
        scored = {round(self.epochs * share / _VALIDATIONS) for share in range(1, _VALIDATIONS + 1)}
        for number in range(len(self.record), self.epochs):
            row = self.epoch(number, stop)
            if row is None:
                return
            if validation and number + 1 in scored:
                row |= self.validate(validation)
            row = {"epoch": number + 1, **row, "seconds": time.perf_counter() - start}
            self.record.append(row)
            if path is not None:
                self.save(path)
            if on_progress is not None:
                on_progress(number + 1, self.epochs, row)

    def epoch(self, number: int, stop: object) -> Row | None:
        """Means of the loss and its terms; None if the run was stopped before the end."""
        rng = np.random.default_rng((self.seed, number))
        batches = self.bank.balanced_order(self.steps * self.recipe.batch, rng)
        sums: Row = {}
        self.head.train()
        for clips in batches.reshape(self.steps, -1):
            if stop:
                return None
            for name, value in self.step(clips, rng).items():
                sums[name] = sums.get(name, 0.0) + float(value) / self.steps
        self.head.eval()
        return {**sums, "lr": float(self.schedule.get_last_lr()[0])}

    def step(self, clips: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        """Learn from one batch; the loss and its terms."""
        inputs = self.bank.random_windows(
            clips, self.network.config.frames, window_fps(self.network), self.recipe.augment, rng
        )
        terms = self.criterion(self.network.recognise(*inputs), self.bank.targets[clips])
        loss = self.criterion.total(terms)
        if not loss.isfinite():
            raise PoseActError(
                f"The loss is {loss.item()} in the batch of "
                f"{', '.join(self.bank.names[clip] for clip in clips)}; look at these sequences, "
                "or lower the learning rate."
            )
        self.optimiser.zero_grad()
        loss.backward()
        if self.recipe.optimiser.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.head.parameters(), self.recipe.optimiser.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.head)
        return {name: value.detach() for name, value in {"loss": loss, **terms}.items()}

    def averaged(self) -> ActionNetwork:
        """The network with the averaged heads."""
        if self.recipe.optimiser.ema is not None:
            self.head.load_state_dict(self.average.module.state_dict())
        return self.network.eval()

    def validate(self, validation: Sequence[PoseSequence]) -> Row:
        """Accuracy of the averaged heads on the middle windows, by stream."""
        own = copy.deepcopy(self.head.state_dict())
        scores = evaluate(self.averaged(), validation, ActionProtocol("centre"))
        self.head.load_state_dict(own)
        return {
            f"accuracy/{name}": scores.stream(name).accuracy for name in scores.log_probabilities
        }

    @cached_property
    def identity(self) -> str:
        """Digest of all that the run depends on."""
        settings = (self.network.config, self.network.card.fps, self.recipe, self.epochs, self.seed)
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
        for content in self.bank.contents():
            digest.update(content)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the state."""
        content = io.BytesIO()
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save({"identity": self.identity, "record": self.record, "parts": parts}, content)
        atomic_write(path, lambda partial: partial.write_bytes(content.getvalue()))

    def resume(self, path: Path) -> None:
        """Take up the state of the same run, if there is one."""
        if not path.exists():
            return
        state = read_state(path, "identity", "record", "parts")
        if state is None:
            _log.warning("The state %s is damaged; the training starts anew.", path)
            return
        if state["identity"] != self.identity:
            _log.warning("The state %s is of another training, which is replaced.", path)
            return
        for name, part in self._parts().items():
            part.load_state_dict(state["parts"][name])
        self.record = state["record"]

    def _parts(self) -> dict[str, Any]:
        return {
            "head": self.head,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }
