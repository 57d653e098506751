"""Shared by the readers of action data sets: skeleton conversion, boxes, parts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from poseact._utils.boundary import within
from poseact._utils.errors import PoseActError
from poseact.data.video import LabelledVideo, VideoPoses
from poseact.skeleton import Skeleton

Part = Literal["train", "test"]


def converted_poses(
    name: str,
    source: Skeleton,
    skeleton: Skeleton,
    joints: np.ndarray,
    *,
    valid: np.ndarray,
    visible: np.ndarray | None = None,
    depth_valid: np.ndarray | None = None,
) -> VideoPoses:
    """Labels of a video in another skeleton, with a box for every frame.

    The box is tight around all valid joints of the data set, whether the skeleton has them or not.
    A frame without any takes the box of the nearest frame that has one.

    Args:
        name: Of the video, for messages.
        source: Names the J joints.
        skeleton: The skeleton to convert to.
        joints: ``(N, J, 2 or 3)`` px, and the depth in mm behind the root.
        valid: ``(N, J)`` boolean; the joint has a label.
        visible: ``(N, J)`` boolean; None where every joint with a label can be seen.
        depth_valid: ``(N, J)`` boolean; None where there is no depth.

    Raises:
        PoseActError: No joint is labelled in any frame.
    """
    valid = valid & within(joints)
    seen = valid if visible is None else valid & visible
    deep = np.zeros_like(valid) if depth_valid is None else valid & depth_valid
    converted, converted_valid = source.convert(joints.astype(np.float32), valid, skeleton)
    return VideoPoses(
        joints=converted,
        valid=converted_valid,
        visible=source.convert(joints, seen, skeleton)[1],
        depth_valid=source.convert(joints, deep, skeleton)[1],
        boxes=_boxes(name, joints[..., :2], valid),
    )


def videos_of_part(
    videos: Sequence[LabelledVideo], part: Part | None, root: Path
) -> list[LabelledVideo]:
    """The videos of a part, or all if it is None.

    Raises:
        PoseActError: There is none.
    """
    if not videos:
        raise PoseActError(
            f"{root} has no video that fits the options; check the folder and the options."
        )
    chosen = [video for video in videos if part is None or video.part == part]
    if not chosen:
        parts = sorted({str(video.part) for video in videos})
        raise PoseActError(
            f"The part {part!r} was asked for, but the {len(videos)} videos of {root} are of the "
            f"parts {', '.join(parts)}; give one of them, or leave the option out."
        )
    return chosen


def _boxes(name: str, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """``(N, 4)`` x0, y0, x1, y1."""
    labelled = np.flatnonzero(valid.any(1))
    if not labelled.size:
        raise PoseActError(f"{name} has no labelled joint in any frame; leave it out.")
    known = valid[..., None]
    low = np.where(known, pixels, np.inf).min(1)
    high = np.where(known, pixels, -np.inf).max(1)
    frames = np.arange(len(valid))
    after = np.searchsorted(labelled, frames).clip(max=len(labelled) - 1)
    before = (after - 1).clip(min=0)
    closer = abs(labelled[before] - frames) <= abs(labelled[after] - frames)
    nearest = labelled[np.where(closer, before, after)]
    return np.concatenate((low, high), 1)[nearest].astype(np.float32)
