"""Concatenated sequences, from which batches of windows are gathered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import ClipInputs
from poseact.actions.pose_sequence import PoseSequence
from poseact.models.action import sharpen
from poseact.models.window_heads import sampled_frames
from poseact.training.clip_augment import ClipAugment


class ClipBatch(NamedTuple):
    """B windows of clips.

    Attributes:
        names: Of the clips.
        clips: ``(B,)`` their numbers in the bank.
        inputs: As networks read them.
        targets: ``(B,)`` indices of the labels.
    """

    names: list[str]
    clips: Tensor
    inputs: ClipInputs
    targets: Tensor


@dataclass(frozen=True)
class WindowDraw:
    """How the windows of a training are drawn.

    Attributes:
        frames: T.
        fps: Frame rate of the windows.
        augment: Their random augmentation.
        batch: Windows per step.
        steps: Steps per epoch.
        seed: Random seed.
    """

    frames: int
    fps: float
    augment: ClipAugment
    batch: int
    steps: int
    seed: int


class ClipBank:
    """Labelled sequences of one skeleton.

    Args:
        sequences: N of them.
        labels: The A actions.
        dims: D of the joints that are read.
        with_appearance: Whether the features at the joints are read too.

    Attributes:
        names: Of the sequences.
        targets: ``(N,)`` indices of the labels.

    Raises:
        PoseActError: A sequence has no such label, too few coordinates, or no appearance that is
            asked for.
    """

    def __init__(
        self,
        sequences: Sequence[PoseSequence],
        labels: Sequence[str],
        dims: int,
        with_appearance: bool,
    ) -> None:
        for sequence in sequences:
            check_sequence(sequence, labels, dims, with_appearance)
        self.names = [sequence.name for sequence in sequences]
        self.targets = torch.tensor([labels.index(str(s.label)) for s in sequences])
        self._skeleton = sequences[0].skeleton
        self._times = [sequence.times for sequence in sequences]
        self._starts = np.cumsum([0, *(len(s) for s in sequences[:-1])])
        self._joints = torch.from_numpy(
            np.concatenate([s.network_joints()[..., :dims] for s in sequences])
        )
        confidence = np.concatenate([s.confidence for s in sequences])
        self._confidence = sharpen(torch.from_numpy(confidence).float(), dims)
        self._appearance = None
        if with_appearance:
            appearance = [s.appearance for s in sequences if s.appearance is not None]
            self._appearance = torch.from_numpy(np.concatenate(appearance))

    def __len__(self) -> int:
        """N."""
        return len(self.names)

    def balanced_order(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """``(size,)`` clips in random order, balanced over labels and then over clips."""
        targets = self.targets.numpy()
        clips = [np.flatnonzero(targets == label) for label in rng.permutation(np.unique(targets))]
        share = -(-size // len(clips))
        drawn = []
        for members in clips:
            rounds = -(-share // len(members))
            order = np.concatenate([rng.permutation(members) for _ in range(rounds)])
            drawn.append(order[:share])
        # Interleaved, so that cutting the end drops at most one clip per label.
        return rng.permutation(np.stack(drawn, 1).ravel()[:size])

    def random_windows(
        self,
        clips: np.ndarray,
        frames: int,
        fps: float,
        augment: ClipAugment,
        rng: np.random.Generator,
    ) -> ClipInputs:
        """One augmented window of T frames for each of ``(B,)`` clips.

        Its appearance is that of the frames that heads read.
        """
        rows = np.stack(
            [
                self._starts[clip] + augment.window(self._times[clip], frames, fps, rng)
                for clip in clips
            ]
        )
        return augment.apply(self._gather(rows), self._skeleton, rng)

    def batches(self, draw: WindowDraw, first: int = 0) -> Iterator[ClipBatch]:
        """Endless batches, from a step on; the same in every run."""
        for epoch in count(first // draw.steps):
            rng = np.random.default_rng((draw.seed, epoch))
            order = self.balanced_order(draw.steps * draw.batch, rng)
            for step, clips in enumerate(order.reshape(draw.steps, -1), epoch * draw.steps):
                inputs = self.random_windows(clips, draw.frames, draw.fps, draw.augment, rng)
                if step >= first:
                    names = [self.names[i] for i in clips]
                    chosen = torch.from_numpy(clips)
                    yield ClipBatch(names, chosen, inputs, self.targets[chosen])

    def contents(self) -> Iterator[str | np.ndarray]:
        """All data that a training depends on, for the digest."""
        yield repr((self.names, self.targets.tolist(), self._skeleton.joints))
        yield from self._times
        for features in (self._joints, self._confidence, self._appearance):
            if features is not None:
                yield features.numpy()

    def _gather(self, rows: np.ndarray) -> ClipInputs:
        appearance = None
        if self._appearance is not None:
            appearance = self._appearance[rows[:, sampled_frames(rows.shape[1])]].float()
        return ClipInputs(self._joints[rows], self._confidence[rows], appearance)


def check_sequence(
    sequence: PoseSequence,
    labels: Sequence[str],
    dims: int,
    with_appearance: bool,
) -> None:
    """Refuse a sequence that heads cannot be trained on.

    Raises:
        PoseActError: It has no such label, too few coordinates, or no appearance that is read.
    """
    given = f"The sequence {sequence.name}"
    if sequence.label not in labels:
        raise PoseActError(
            f"{given} has the label {sequence.label!r}; give one of {', '.join(labels)}."
        )
    if sequence.joints.shape[-1] < dims:
        raise PoseActError(f"{given} has 2D joints for a 3D network; give depths, or train for 2D.")
    if with_appearance and sequence.appearance is None:
        raise PoseActError(
            f"{given} has no appearance; extract it from the video, or train with streams='pose'."
        )
