"""The photos that ship with the package, on which faster number formats are tested."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

import cv2
import numpy as np

from poseact import metrics
from poseact.media import decode_image

JOINTS = tuple(
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""Joints that are labelled."""

_FILE = "int8_photos.npz"


class Photos(NamedTuple):
    """Crops of people.

    Attributes:
        crops: ``(N, S, S, 3)`` uint8 RGB.
        joints: ``(N, 12, 2)`` x and y of ``JOINTS`` in [0, 1] of the crop; machine labels.
    """

    crops: np.ndarray
    joints: np.ndarray

    def __getitem__(self, part: slice | np.ndarray) -> Photos:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Some of the photos, by a slice or their numbers."""
        return Photos(self.crops[part], self.joints[part])


def shipped_photos(size: int) -> Photos:
    """The photos, of a network's size in px."""
    with (files("poseact.assets") / _FILE).open("rb") as file, np.load(file) as archive:
        ends = np.cumsum(archive["sizes"])[:-1]
        encoded, joints = np.split(archive["jpeg"], ends), archive["joints"]
    pictures = [decode_image(jpeg.tobytes(), _FILE) for jpeg in encoded]
    resized = [cv2.resize(one, (size, size), interpolation=cv2.INTER_AREA) for one in pictures]
    return Photos(np.stack(resized), joints)


def pck(predicted: np.ndarray, joints: np.ndarray) -> float:
    """PCK@0.2 of the torso in percent, see :func:`poseact.metrics.pck`.

    Args:
        predicted: ``(N, 12, 2)`` as ``joints``; NaN for a joint that is not predicted, which does
            not count.
        joints: ``(N, 12, 2)``.
    """
    shoulder, hip = JOINTS.index("left_shoulder"), JOINTS.index("right_hip")
    torso = np.linalg.norm(joints[:, shoulder] - joints[:, hip], axis=-1)
    known = np.asarray(np.isfinite(predicted).all(-1))
    return 100 * metrics.pck(predicted, joints, known, torso, 0.2).mean
