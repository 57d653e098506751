"""Pictures in which only the person is visible, to measure the influence of the scene."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.frame_pose import PersonReading
from poseact.inference.follow import SURE, person_box
from poseact.inference.predictor import Predictor
from poseact.media import Frame
from poseact.media.crop import Box

Background = Literal["keep", "blank"]
"""Whether the background of a person is kept or made grey."""

BLANKED = "pixels outside the box of the person's joints, with the margin of the crop, are grey"
"""Description of ``blank`` for protocols."""

GREY = 128
"""Centre of the range of pixels, which networks read as 0."""


def check_background(background: str) -> None:
    """Refuse what is no :data:`Background`.

    Raises:
        PoseActError: It is none.
    """
    if background not in get_args(Background):
        raise PoseActError(
            f"The background {background!r} was given; give one of "
            f"{', '.join(get_args(Background))}."
        )


def blank_outside(image: np.ndarray, box: Box) -> np.ndarray:
    """Copy a picture with all pixels outside a box in grey.

    Args:
        image: ``(H, W, 3)`` uint8.
        box: Box in px of the picture.
    """
    height, width = image.shape[:2]
    low = np.floor(box[:2]).clip(0, (width, height)).astype(int)
    high = np.ceil(box[2:]).clip(0, (width, height)).astype(int)
    inside = np.s_[low[1] : high[1], low[0] : high[0]]
    blank = np.full_like(image, GREY)
    blank[inside] = image[inside]
    return blank


def read_blanked(predictor: Predictor, frame: Frame, reading: PersonReading) -> PersonReading:
    """Read a person again from the same square, with the background in grey.

    Of the scene, the network then sees only the position of the box.

    Args:
        predictor: Reads the poses.
        frame: The frame.
        reading: Reading of the whole picture. The box is that of the visible joints, or of all
            joints if fewer than two are visible.
    """
    pose = reading.pose
    seen = pose.confidence >= SURE
    if seen.sum() < 2:
        seen = np.ones_like(seen)
    box = person_box(pose.joints[seen], reading.spread[seen])
    x0, y0, x1, y1 = pose.box
    square = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0
    (blanked,) = predictor.read(blank_outside(frame.image, box), [square], frame.index, frame.time)
    return blanked
