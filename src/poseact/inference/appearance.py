"""How a tracked person looks: colours and lengths of the limbs, and height, averaged over time."""

from __future__ import annotations

import cv2
import numpy as np

from poseact.actions.frame_pose import FramePose
from poseact.inference.follow import SURE

NO_LIMBS = np.zeros((0, 4))
"""Of people whose limbs are not known."""

# Where along a limb its colour is read.
_ALONG = np.array([0.3, 0.5, 0.7])
# Difference of colour, in CIE L*a*b*, at which clothes are others.
_OTHER_COLOUR = 15.0
# Logarithm of a ratio of sizes at which people are others.
_OTHER_SIZE = 0.4
# With fewer limbs in common, the similarity is unknown.
_LEAST_LIMBS, _UNKNOWN = 3, 0.5
# Share of a detection in the average if it looks the same.
_LEARNT = 0.2


def looks_of(image: np.ndarray, pose: FramePose, limbs: np.ndarray) -> np.ndarray:
    """Colours and lengths of the limbs of a person.

    Args:
        image: ``(H, W, 3)`` RGB.
        pose: Of the person.
        limbs: ``(L, 2)`` pairs of joints.

    Returns:
        ``(L, 4)`` CIE L*a*b* and logarithm of the length in px; NaN where a limb is not seen.
    """
    if not len(limbs):
        return NO_LIMBS
    ends = pose.joints[limbs, :2]
    spots = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * _ALONG[:, None]
    x, y = np.moveaxis(np.rint(spots).astype(int), -1, 0)
    height, width = image.shape[:2]
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen &= (pose.confidence[limbs].min(1) >= SURE)[:, None]
    rgb = image[y.clip(0, height - 1), x.clip(0, width - 1)].astype(np.float32) / 255
    colours = np.where(seen[..., None], cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.nan)
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    return np.column_stack((colours.mean(1), np.log(np.maximum(lengths, 1))))


class Appearance:
    """The mean looks of a person.

    Args:
        looks: See :func:`looks_of`.
        height: Of the detected box in px.
    """

    def __init__(self, looks: np.ndarray, height: float) -> None:
        self.looks, self.height = looks, height

    def similarity(self, looks: np.ndarray, height: float | None = None) -> float:
        """From 0, for other clothes or another size, to 1; 0.5 where too little is seen.

        Args:
            looks: Of somebody.
            height: Of the same box as detected, if it was: poses of people who are partly hidden
                are too small, and so are boxes, but seldom both.
        """
        apart = np.abs(self.looks - looks)
        apart = apart[np.isfinite(apart).all(1)]
        if len(apart) < _LEAST_LIMBS:
            return _UNKNOWN
        size = np.median(apart[:, 3])
        if height is not None:
            size = 2 * min(size, abs(np.log(height / self.height)))
        # Some limbs of people who are partly hidden have the colour of whoever hides them: the
        # share of alike limbs says more than a mean or median difference.
        colour = np.exp(-((apart[:, :3].mean(1) / _OTHER_COLOUR) ** 2)).mean() ** 2
        return float(colour * np.exp(-((size / _OTHER_SIZE) ** 2)))

    def learn(self, looks: np.ndarray, height: float) -> None:
        """Average with a detection, the more similar, the more."""
        share = _LEARNT * self.similarity(looks, height)
        self.height += share * (height - self.height)
        both = np.where(np.isfinite(self.looks), self.looks + share * (looks - self.looks), looks)
        self.looks = np.where(np.isfinite(both), both, self.looks)
