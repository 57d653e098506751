"""Shared by the sequence readers: files, times, axes, and the choice of the person."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from poseact._utils.boundary import one_sentence, within
from poseact._utils.errors import PoseActError
from poseact._utils.files import walk_files
from poseact._utils.left_out import LeftOut
from poseact.skeleton import SKELETONS, Skeleton

T = TypeVar("T")

MM_PER_METRE = 1000.0


def files_below(path: Path, suffixes: tuple[str, ...], what: str) -> dict[str, Path]:
    """The file itself, or the files of a folder and its sub-folders, in the order of their names.

    The folder is searched as :func:`~poseact._utils.files.walk_files` does. The names are those of
    the files without their suffix, relative to the folder.

    Raises:
        PoseActError: There is no such path, or no such file in the folder.
    """
    if path.is_file():
        return {path.stem: path}
    if not path.is_dir():
        raise PoseActError(f"{path} does not exist; give {what}, or a folder of them.")
    found = [file for file in walk_files(path) if file.suffix.lower() in suffixes]
    if not found:
        raise PoseActError(
            f"{path} holds no file {' or '.join(f'*{suffix}' for suffix in suffixes)}; "
            f"give {what}, or a folder of them."
        )
    return {file.relative_to(path).with_suffix("").as_posix(): file for file in found}


def read_each(place: Path, files: Mapping[str, Path], read: Callable[[str, Path], T]) -> list[T]:
    """The sequences of each file; unreadable files are skipped with a warning.

    Args:
        place: Where the files are, for messages.
        files: By name, as :func:`files_below` finds them.
        read: Called with name and file.

    Raises:
        PoseActError: None of them can be read.
    """
    left, found = LeftOut(place, "files"), []
    for name, file in files.items():
        with left.entry(), one_sentence(f"{file} cannot be read ({{error}}); fetch it again."):
            found.append(read(name, file))
    left.finish(found)
    return found


def regular_times(frames: int, fps: float) -> np.ndarray:
    """``(N,)`` seconds of frames at a steady rate, from 0.

    Raises:
        PoseActError: The rate is not a positive number.
    """
    return frame_times(range(frames), fps)


def frame_times(frames: Sequence[int], fps: float) -> np.ndarray:
    """``(N,)`` seconds of numbered frames, frame 0 being at 0.

    Raises:
        PoseActError: The rate is not a positive number.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise PoseActError(f"{fps} frames per second were given; give a positive number.")
    return np.array(frames, np.float64) / fps


def zero_unknown(
    joints: np.ndarray, confidence: np.ndarray, *, or_nobody: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Joints and confidence with 0 where a joint is not known.

    Args:
        joints: ``(N, J, D)``; a number that is not finite makes its joint unknown.
        confidence: ``(N, J)``; cut to [0, 1].
        or_nobody: Whether nobody may be in view in any frame.

    Raises:
        ValueError: No joint is known in any frame.
    """
    scores = np.clip(np.nan_to_num(confidence, nan=0.0), 0, 1)
    known = within(joints) & (scores > 0)
    if not (or_nobody or known.any()):
        raise ValueError("no joint is known in any frame")
    return (
        np.where(known[..., None], joints, 0).astype(np.float32),
        np.where(known, scores, 0).astype(np.float32),
    )


def depth_from_root(joints: np.ndarray, root: int) -> np.ndarray:
    """``(N, J, 3)`` joints with the depth relative to the root joint."""
    out = joints.copy()
    out[..., 2] -= joints[:, root, None, 2]
    return out


def from_kinect(metres: np.ndarray, root: int) -> np.ndarray:
    """Kinect's coordinates converted to those of a sequence.

    Kinect's x grows to the left as the sensor sees it, its y upwards and its z away from it
    (Kinect for Windows SDK, "Coordinate mapping": camera space). So half a turn about z gives the
    picture that a camera in its place takes, in which whoever faces it has the left hand on the
    right.

    Args:
        metres: ``(N, J, 3)``.
        root: Index of the joint that depths are relative to.

    Returns:
        ``(N, J, 3)`` mm: x to the right, y down, depth behind the root.
    """
    return depth_from_root(metres * (-MM_PER_METRE, -MM_PER_METRE, MM_PER_METRE), root)


def movement(places: np.ndarray, known: np.ndarray) -> float:
    """How much a person moves: squared distance of the joints from their mean, over all frames.

    Unlike the length of their path it is not raised by jitter, and unlike the average over frames
    it is small for somebody who is in view for a moment only.

    Args:
        places: ``(N, J, D)``; a place that is not finite counts as not known.
        known: ``(N, J)`` boolean.
    """
    weights = (known & np.isfinite(places).all(-1))[..., None]
    counts = np.maximum(weights.sum(0, keepdims=True), 1)
    means = np.where(weights, places, 0).sum(0, keepdims=True) / counts
    strays = np.where(weights, places - means, 0)
    return float((strays**2).sum())


def skeleton_named(name: str) -> Skeleton:
    """The skeleton of this name.

    Raises:
        PoseActError: There is none.
    """
    if name not in SKELETONS:
        raise PoseActError(
            f"The skeleton {name!r} was given; give one of {', '.join(SKELETONS)}, "
            "or the names of the joints in their order."
        )
    return SKELETONS[name]
