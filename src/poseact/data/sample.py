"""What every pose data set is read into: one labelled person in one image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poseact.errors import PoseActError


@dataclass(frozen=True)
class PoseSample:
    """One person's labels in one image, for J joints of some skeleton.

    Image coordinates are continuous: the image spans [0, width] x [0, height], and the first
    pixel's centre is (0.5, 0.5). A label may lie outside the image.

    Attributes:
        name: Unique in its data set, for messages.
        image: Path of the image file.
        joints: ``(J, 2)`` px, or ``(J, 3)`` with the depth in mm behind the root.
        valid: ``(J,)`` boolean; the joint has a label. Where False, its state is unknown.
        visible: ``(J,)`` boolean; the label says that the joint can be seen.
        depth_valid: ``(J,)`` boolean; the depth has a label.
        box: ``(x0, y0, x1, y1)`` px, tight around everything that the data set labels.
    """

    name: str
    image: Path
    joints: np.ndarray
    valid: np.ndarray
    visible: np.ndarray
    depth_valid: np.ndarray
    box: tuple[float, float, float, float]


def labelled_box(joints: np.ndarray, valid: np.ndarray) -> tuple[float, float, float, float]:
    """Tight box ``(x0, y0, x1, y1)`` around the valid ones of ``(J, 2 or 3)`` joints.

    Raises:
        PoseActError: No joint is valid.
    """
    if not valid.any():
        raise PoseActError(
            "A box was asked for around 0 labelled joints; leave out people without labels."
        )
    points = joints[valid, :2]
    (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return x0, y0, x1, y1
