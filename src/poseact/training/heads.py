"""Training of action heads on cached joints and features, with the pose network frozen.

One pass trains the heads on all clips and, beside them, heads that each leave out a part of the
clips. Probabilities are calibrated on the answers of these heads for the clips that they left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import check_skeleton
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.split import split_by_recording
from poseact.layers.modules import ModuleList
from poseact.losses import ActionCriterion
from poseact.models.multitask import MultitaskNetwork
from poseact.models.sequence import ActionNetwork
from poseact.models.window_heads import WindowStreams, answers_of, body_frame
from poseact.recipe import OptimiserSpec, ScheduleSpec
from poseact.training.callbacks import Averaging
from poseact.training.clip_augment import ClipAugment
from poseact.training.clip_bank import ClipBank, ClipBatch, WindowDraw
from poseact.training.engine import TrainingModule, on_device_of, run_steps
from poseact.training.epoch_record import EpochRecord, OnProgress, Row
from poseact.training.instant import describe_clips, place_prototypes
from poseact.training.new_heads import (
    FPS,
    FRAMES,
    WIDTH,
    Streams,
    build_network,
    window_heads,
    with_new_heads,
)
from poseact.training.optimisation import make_optimiser, rate_factor
from poseact.training.state import RunState, digest_of, weights_of

EPOCHS = 30
"""Default number of epochs."""

STATE_NAME = "heads.pt"
"""File of a run's state within its folder."""

# Small sets are seen several times per epoch, so that an epoch has enough steps to learn from.
_LEAST_STEPS = 3

# More than cameras and motion capture give.
_MOST_FPS = 1000

# They learn as much from smaller batches, which take less time.
_LEAST_BATCH = 32

# A state is larger than what a second of training is worth.
_SAVE_MINUTES = 5 / 60


@dataclass(frozen=True)
class HeadRecipe:
    """Settings of head training; the defaults were chosen on validation parts of training data.

    Raises:
        PoseActError: A number is out of range.
    """

    batch: int = 64
    """Windows per step, if there are as many clips."""
    optimiser: OptimiserSpec = field(
        default_factory=lambda: OptimiserSpec(name="adamw", lr=4e-3, weight_decay=0.05, ema=0.97)
    )
    warm_up: float = 0.1
    """Share of the steps with a rising learning rate; a cosine decay follows."""
    label_smoothing: float = 0.1
    """See :class:`ActionCriterion`."""
    augment: ClipAugment = field(default_factory=ClipAugment)
    width: int = WIDTH
    """Width of the streams."""

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
        unseen: Clips, each with a network that was trained on other recordings only;
            empty without ``folds``.
    """

    network: ActionNetwork
    record: tuple[Row, ...]
    finished: bool
    unseen: tuple[tuple[ActionNetwork, PoseSequence], ...] = ()


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
    folds: int = 0,
    instant: bool = False,
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
        folds: Parts of the recordings for cross-fitting, at least 2: in the same pass, a network
            for each learns from all others. 0 for none.
        instant: Train nothing and recognise actions by prototypes, as
            :func:`~poseact.training.instant.train_instant` does.
        recipe: All other settings.
        on_progress: Called after an epoch with its number from 1, the total and its row.
        stop: The run ends after the current step once this is true, such as a
            :class:`~poseact._utils.interrupt.StopRequest`.
        out: Folder for the state of the run, saved every few seconds and at its end; the state of a
            run with other arguments is replaced.

    Raises:
        PoseActError: The sequences do not fit together or to the network, there are fewer than two
            labels, the loss is not finite, or the state cannot be written.
    """
    recipe = recipe or HeadRecipe()
    check_windows(frames, fps, epochs)
    fold_of = cross_folds(sequences, folds, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = "prototypes" if instant else "temporal"
        how = (streams, pose_network, frames, fps)
        network = build_network(sequences, *how, heads=kind, width=recipe.width).eval()
        networks = [network, *(with_new_heads(network) for _ in range(folds))]
    for sequence in sequences:
        check_skeleton(network, sequence)
    bank = ClipBank(sequences, network.config.labels, network.config.dims, streams == "both")
    flip = recipe.augment.flip > 0
    if instant:
        unseen = _finished(networks, sequences, fold_of, flip)
        return TrainedActions(network.eval(), (), True, unseen)
    batch = min(recipe.batch, max(len(bank), _LEAST_BATCH))
    steps = max(-(-len(bank) // batch), _LEAST_STEPS)
    state, begun = None, None
    if out is not None:
        settings = (network.config, fps, recipe, batch, epochs, steps, seed, fold_of.tolist())
        digest = digest_of(settings, bank.contents(), weights_of(network))
        state = RunState(Path(out) / STATE_NAME, digest)
        begun = state.find()
    windows = WindowDraw(frames, fps, recipe.augment, batch, steps, seed)
    averaging = Averaging(recipe.optimiser.ema) if recipe.optimiser.ema else None
    record = EpochRecord(network, epochs, steps, averaging, validation, on_progress)
    run_steps(
        HeadTraining(networks, fold_of, recipe, steps * epochs, seed),
        bank.batches(windows, begun["global_step"] if begun else 0),
        steps * epochs,
        state=state,
        resume=begun is not None,
        minutes=_SAVE_MINUTES,
        stop=stop,
        averaging=averaging,
        callbacks=[record],
        gradient_clip_val=recipe.optimiser.clip_norm,
        **on_device_of(network),
    )
    finished = len(record.rows) == epochs
    unseen = _finished(networks, sequences, fold_of, flip) if finished else ()
    return TrainedActions(network.eval(), tuple(record.rows), finished, unseen)


def _finished(
    networks: Sequence[ActionNetwork],
    sequences: Sequence[PoseSequence],
    fold_of: np.ndarray,
    flip: bool,
) -> tuple[tuple[ActionNetwork, PoseSequence], ...]:
    """Place the prototypes of all networks; returns each held-out clip with its network."""
    network, *others = networks
    described = describe_clips(network.eval(), sequences, flip)
    place_prototypes(network, described)
    unseen: list[tuple[ActionNetwork, PoseSequence]] = []
    for fold, other in enumerate(others):
        learned = fold_of != fold
        labels = {s.label for s, kept in zip(sequences, learned, strict=True) if kept}
        if len(labels) > 1:
            place_prototypes(other.eval(), described.of(torch.from_numpy(learned)))
            unseen += [
                (other, s)
                for s, kept in zip(sequences, learned, strict=True)
                if not kept and s.label in labels
            ]
    return tuple(unseen)


def cross_folds(sequences: Sequence[PoseSequence], folds: int, seed: int) -> np.ndarray:
    """The fold ``(N,)`` of each sequence, stratified by action, without dividing recordings.

    Raises:
        PoseActError: There are fewer than 2 folds, but not none.
    """
    if folds < 0 or folds == 1:
        raise PoseActError(f"folds={folds} was given; give at least 2, or 0 for none.")
    fold_of = np.full(len(sequences), max(folds - 1, 0))
    # A part given by the data set separates training from test, not the training clips.
    left = [
        replace(s, part=None, name=str(number), recording=s.recording or s.name)
        for number, s in enumerate(sequences)
    ]
    for fold in range(folds - 1):
        left, held_out = split_by_recording(left, 1 / (folds - fold), seed + fold)
        fold_of[[int(sequence.name) for sequence in held_out]] = fold
    return fold_of


def check_windows(frames: int = FRAMES, fps: float = FPS, epochs: int = EPOCHS) -> None:
    """Refuse impossible windows and epochs; arguments as of `train_heads`.

    Raises:
        PoseActError: One is out of range.
    """
    if epochs < 1 or frames < 2 or not 0 < fps <= _MOST_FPS:
        raise PoseActError(
            f"epochs={epochs}, frames={frames} and fps={fps} were given; give at least 1 epoch, "
            f"windows of at least 2 frames and a frame rate above 0 and up to {_MOST_FPS}."
        )


class HeadTraining(TrainingModule):
    """Action heads that learn from cached windows, several in one pass.

    Args:
        networks: Their action models are trained; the first on all clips, the others each without
            its fold, in the order of the folds.
        fold_of: ``(N,)`` the fold of each clip.
        recipe: Settings of the loss and the optimiser.
        steps: Steps of the whole run.
        seed: Random seed of the dropout.
    """

    def __init__(
        self,
        networks: Sequence[ActionNetwork],
        fold_of: np.ndarray,
        recipe: HeadRecipe,
        steps: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.seed = seed
        # Their streams alone: prototypes are not trained, and the frozen parts belong elsewhere.
        self.heads: ModuleList[WindowStreams] = ModuleList(
            window_heads(network).streams for network in networks
        )
        self.fold_of = torch.from_numpy(fold_of)
        self.recipe, self.steps = recipe, steps
        self.criterion = ActionCriterion(recipe.label_smoothing)
        # Lightning keeps the modes as they are.
        self.train()

    def training_step(self, batch: ClipBatch, _: int) -> Tensor:
        """Loss of a batch; the terms are those of the first network.

        Raises:
            PoseActError: It is not finite; the message names the clips.
        """
        with torch.random.fork_rng(devices=[]):
            # The same in a run that was resumed.
            chance = np.random.default_rng((self.seed, self.global_step))
            torch.manual_seed(int(chance.integers(2**62)))
            return self._losses(batch)

    def _losses(self, batch: ClipBatch) -> Tensor:
        joints, confidence, appearance = batch.inputs
        body, folds = body_frame(joints, confidence), self.fold_of[batch.clips]
        losses: list[Tensor] = []
        for number, streams in enumerate(self.heads):
            # The first leaves out none.
            kept = folds != number - 1
            if kept.sum() < 2:
                continue
            seen = None if appearance is None else appearance[kept]
            answers = answers_of(streams(body[kept], seen))
            terms = self.criterion(answers, batch.targets[kept])
            losses.append(self.criterion.total(terms))
            if number == 0:
                self.add_terms(losses[0], terms)
        if not losses[0].isfinite():
            raise PoseActError(
                f"The loss is {losses[0].item()} in the batch of {', '.join(batch.names)}; check "
                "these sequences, or lower the learning rate."
            )
        return torch.stack(losses).sum()

    def configure_optimizers(self) -> dict[str, Any]:
        """The recipe's optimiser, with warm-up and cosine decay."""
        optimiser = make_optimiser(self.heads, self.recipe.optimiser)
        spec = ScheduleSpec(warm_up=round(self.recipe.warm_up * self.steps))
        schedule = LambdaLR(optimiser, lambda step: rate_factor(step, self.steps, spec))
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
