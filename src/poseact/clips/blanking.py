"""Pictures in which nothing but a person is left, so that no network can see where one is."""

from __future__ import annotations

from typing import Literal

import numpy as np

from poseact.actions.frame_pose import PersonReading
from poseact.inference.follow import SURE, person_box
from poseact.inference.predictor import Predictor
from poseact.media import Frame
from poseact.media.crop import Box

Background = Literal["keep", "blank"]
"""What becomes of the pixels around a person before the network reads them."""

BLANKED = "pixels outside the box of the person's joints, with the margin of the crop, are grey"
"""What ``blank`` means, in the words of a protocol."""

GREY = 128
"""The middle of a pixel's range, which a network reads as 0."""


def blank_outside(image: np.ndarray, box: Box) -> np.ndarray:
    """A copy of a picture in which all pixels are grey that do not touch a box.

    Args:
        image: ``(H, W, 3)`` uint8.
        box: In px of it.
    """
    height, width = image.shape[:2]
    low = np.floor(box[:2]).clip(0, (width, height)).astype(int)
    high = np.ceil(box[2:]).clip(0, (width, height)).astype(int)
    inside = np.s_[low[1] : high[1], low[0] : high[0]]
    blank = np.full_like(image, GREY)
    blank[inside] = image[inside]
    return blank


def read_blanked(predictor: Predictor, frame: Frame, reading: PersonReading) -> PersonReading:
    """A person read once more, from the same window, with everything around the person in grey.

    The scene can tell the network no more than the place of the person's box.

    Args:
        predictor: Reads the poses.
        frame: Of the person.
        reading: Of the whole picture. Its box is :func:`~poseact.inference.follow.person_box` of
            the joints that are seen, or of all where fewer than two are.
    """
    pose = reading.pose
    seen = pose.confidence >= SURE
    if seen.sum() < 2:
        seen = np.ones_like(seen)
    box = person_box(pose.joints[seen], reading.spread[seen])
    x0, y0, x1, y1 = pose.box
    window = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0
    (blanked,) = predictor.read(blank_outside(frame.image, box), [window], frame.index, frame.time)
    return blanked
