"""Random augmentation of clips that are cached as joints and features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import ClipInputs
from poseact.actions.windows import window_indices
from poseact.models.action import to_person_square
from poseact.skeleton import Skeleton


@dataclass(frozen=True)
class ClipAugment:
    """Ranges of the random augmentation, which is drawn once per window.

    Lengths are in sides of the person's square
    (:func:`~poseact.models.action.to_person_square`).

    Raises:
        PoseActError: A range is reversed or out of bounds.
    """

    rate: tuple[float, float] = (0.8, 1.25)
    """Factor on the frame rate of the window; above 1 the motion looks slower."""
    cut: float = 0.2
    """Largest share of the clip that is cut off at its start, and at its end if the clip is shorter
    than the window."""
    flip: float = 0.5
    """Probability of mirroring, which swaps left and right joints."""
    rotation_deg: float = 10.0
    """Largest rotation of the picture in either direction."""
    turn_deg: float = 30.0
    """Largest turn about the vertical axis in either direction; 3D only."""
    aspect: float = 0.1
    """Largest logarithm of the factor on the aspect ratio."""
    body: float = 0.015
    """Standard deviation of a joint's shift that is constant over the window: another body."""
    jitter: float = 0.005
    """Standard deviation of a joint's shift in every frame."""
    drop: float = 0.05
    """Probability that a joint is dropped from the whole window."""

    def __post_init__(self) -> None:
        low, high = self.rate
        if not 0 < low <= high:
            raise PoseActError(
                f"rate=({low}, {high}) was given; give two positive numbers in increasing order."
            )
        for name in ("flip", "cut", "drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise PoseActError(f"{name}={getattr(self, name)} was given; give 0 to 1.")
        for name in ("rotation_deg", "turn_deg", "aspect", "body", "jitter"):
            if getattr(self, name) < 0:
                raise PoseActError(f"{name}={getattr(self, name)} was given; give 0 or more.")

    def window(
        self, times: np.ndarray, frames: int, fps: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw the ``(T,)`` frame indices of a window anywhere in a clip.

        Args:
            times: ``(N,)`` rising seconds of the clip's frames.
            frames: T.
            fps: Frame rate of the window before it is stretched.
            rng: Random generator.
        """
        rate = fps * np.exp(rng.uniform(*np.log(self.rate)))
        begin = times[0] + rng.uniform(0, self.cut) * (times[-1] - times[0])
        first = int(np.searchsorted(times, begin, side="right")) - 1
        kept = times[first:]
        earliest = min(kept[0] + (frames - 1) / rate, kept[-1] - self.cut * (kept[-1] - kept[0]))
        last = rng.integers(np.searchsorted(kept, earliest), len(kept))
        return first + window_indices(kept, float(kept[last]), frames, rate)

    def apply(self, inputs: ClipInputs, skeleton: Skeleton, rng: np.random.Generator) -> ClipInputs:
        """Augment windows as if another camera had filmed other people.

        Args:
            inputs: B windows.
            skeleton: Of their joints; without left and right joints nothing is mirrored.
            rng: Random generator.
        """
        joints = to_person_square(inputs.joints, inputs.confidence)
        confidence, appearance = inputs.confidence, inputs.appearance
        clips, _, count, dims = joints.shape
        swap = list(skeleton.flip_indices)
        if swap != list(range(count)):
            mirror = torch.from_numpy(rng.random(clips) < self.flip)
            mirrored = joints[:, :, swap] * _mirror(dims)
            joints = _where(mirror, mirrored, joints)
            confidence = _where(mirror, confidence[:, :, swap], confidence)
            if appearance is not None:
                appearance = _where(mirror, appearance[:, :, swap], appearance)
        if dims == 3:
            joints = _turned(joints, confidence, _angles(self.turn_deg, clips, rng))
        joints = self._reshaped(joints, rng)
        seen = torch.from_numpy(rng.random((clips, 1, count)) >= self.drop)
        if appearance is not None:
            appearance = appearance * seen.unsqueeze(-1)
        return ClipInputs(joints, confidence * seen, appearance)

    def _reshaped(self, joints: Tensor, rng: np.random.Generator) -> Tensor:
        """Rotate, stretch and shift the joints."""
        clips, _, count, dims = joints.shape
        angles = _angles(self.rotation_deg, clips, rng)
        stretch = torch.from_numpy(np.exp(rng.uniform(-self.aspect, self.aspect, clips)))
        plane = torch.stack(
            (
                torch.stack((stretch * angles.cos(), -angles.sin()), -1),
                torch.stack((stretch * angles.sin(), angles.cos()), -1),
            ),
            1,
        ).float()
        turned = torch.einsum("btjd,bed->btje", joints[..., :2] - 0.5, plane) + 0.5
        body = rng.standard_normal((clips, 1, count, dims), np.float32) * self.body
        noise = rng.standard_normal(joints.shape, np.float32) * self.jitter
        return torch.cat((turned, joints[..., 2:]), -1) + torch.from_numpy(body + noise)


def _turned(joints: Tensor, confidence: Tensor, angles: Tensor) -> Tensor:
    """Turn clips in their person's square about the vertical axis.

    The side of the square and the range of the depth are both about two metres, so one unit is
    taken for the other. The depth is of each frame's body, whose middle is that of the seen joints.
    """
    weight = confidence / confidence.sum(-1, keepdim=True).clamp_min(1e-6)
    x, y, depth = joints.unbind(-1)
    middle = (x * weight).sum(-1, keepdim=True)
    behind = depth - 0.5
    cos, sin = angles.cos().float()[:, None, None], angles.sin().float()[:, None, None]
    across = (x - 0.5) * cos + behind * sin + 0.5
    return torch.stack((across, y, behind * cos - (x - middle) * sin + 0.5), -1)


def _mirror(dims: int) -> Tensor:
    return torch.tensor((-1.0, *(1.0,) * (dims - 1)))


def _angles(largest_deg: float, count: int, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(np.deg2rad(rng.uniform(-largest_deg, largest_deg, count)))


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(chosen.reshape(-1, *(1,) * (no.ndim - 1)), yes, no)
