"""Poses of one person over time with appearance features, the input of action recognition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.media.crop import DEPTH_RANGE_MM
from poseact.skeleton import Skeleton

# Later than any clock; at larger times float64 cannot distinguish frames.
_LATEST_S = 1e12


@dataclass(frozen=True)
class PoseSequence:
    """One person over time.

    Attributes:
        name: Unique within its data set, for reports and errors.
        skeleton: Names the J joints.
        times: ``(N,)`` float64 seconds, strictly rising.
        joints: ``(N, J, D)`` float32: x to the right and y down in any common unit (px of the
            picture, or mm), and for D = 3 the depth in mm behind the root, larger being further
            away; 0 where a joint is not known.
        confidence: ``(N, J)`` float32 in [0, 1]; 0 where a joint is not known.
        appearance: ``(N, J, C)`` float16 features gathered at the joints, or None.
        label: Its action; None if unknown.
        recording: Name of the recording; sequences of one recording are never split.
        part: ``train`` or ``test`` where the data set defines it, else None.

    Raises:
        PoseActError: The arrays do not fit one another, or the times do not rise.
    """

    name: str
    skeleton: Skeleton
    times: np.ndarray
    joints: np.ndarray
    confidence: np.ndarray
    appearance: np.ndarray | None = None
    label: str | None = None
    recording: str | None = None
    part: str | None = None

    def __post_init__(self) -> None:
        frames, count = len(self.times), len(self.skeleton)
        fits = (
            self.joints.shape[:2] == self.confidence.shape == (frames, count)
            and self.joints.shape[2:] in ((2,), (3,))
            and (self.appearance is None or self.appearance.shape[:2] == (frames, count))
        )
        if not fits or not frames:
            raise PoseActError(
                f"The sequence {self.name} has {frames} times, joints of shape "
                f"{self.joints.shape} and confidence of shape {self.confidence.shape} for the "
                f"skeleton {self.skeleton.name} of {count} joints; give (N, J, 2 or 3) and (N, J)."
            )
        if not ((np.diff(self.times) > 0).all() and (abs(self.times) < _LATEST_S).all()):
            raise PoseActError(
                f"The times of the sequence {self.name} are not increasing, or exceed "
                f"{_LATEST_S:.0e} s; give increasing times in seconds."
            )
        if self.part not in (None, "train", "test"):
            raise PoseActError(
                f"The sequence {self.name} is of the part {self.part!r}; give train or test."
            )
        if not (np.isfinite(self.joints).all() and np.isfinite(self.confidence).all()):
            raise PoseActError(
                f"The sequence {self.name} holds numbers that are not finite; give 0 with a "
                "confidence of 0 where a joint is not known."
            )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def fps(self) -> float:
        """Average frames per second; 1 for a single frame."""
        return (len(self) - 1) / float(self.times[-1] - self.times[0]) if len(self) > 1 else 1.0

    @property
    def duration(self) -> float:
        """Seconds from the start of the first frame to the end of the last."""
        return float(self.times[-1] - self.times[0]) + 1 / self.fps

    def network_joints(self) -> np.ndarray:
        """The joints in network units: depth in [0, 1] with the root at 0.5."""
        joints = self.joints.astype(np.float32, copy=True)
        joints[..., 2:] = joints[..., 2:] / DEPTH_RANGE_MM + 0.5
        return joints
