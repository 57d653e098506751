"""Windows of clips as pixels with known poses, for end-to-end training."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.actions.windows import window_indices
from poseact.losses import PoseTargets
from poseact.media import VideoReader
from poseact.media.crop import (
    Square,
    crop_matrix,
    person_square,
    transform_points,
    warp_image,
    whole_square,
)
from poseact.models.action import SEEN


class VideoClip(NamedTuple):
    """A pose sequence with its video.

    Attributes:
        path: The video.
        sequence: Joints in px of it; its times are those of the video's frames.
        label: Number of its action.
    """

    path: Path
    sequence: PoseSequence
    label: int


class PixelWindow(NamedTuple):
    """T crops of one clip by one window, with the poses in them.

    Attributes:
        images: ``(T, S, S, 3)`` uint8 RGB.
        targets: ``(T, ...)``, from the sequence; joints that are not visible are invalid.
        label: Number of the action.
    """

    images: np.ndarray
    targets: PoseTargets
    label: int


class PixelBatch(NamedTuple):
    """B windows.

    Attributes:
        images: ``(B, T, S, S, 3)`` uint8 RGB.
        targets: ``(B, T, ...)``.
        labels: ``(B,)``.
    """

    images: Tensor
    targets: PoseTargets
    labels: Tensor


class PixelWindows(Dataset[PixelWindow]):
    """Endless random windows of clips; window i is the same in every run.

    The crop is fixed within a window, around all poses of the person, as the authors
    crop Penn Action. Every label is drawn equally often.

    Args:
        clips: The clips.
        frames: T.
        fps: Of the windows.
        size: Side of the crops in px.
        seed: Of the choice.
    """

    def __init__(
        self, clips: Sequence[VideoClip], frames: int, fps: float, size: int, seed: int
    ) -> None:
        self.clips = clips
        self.frames = frames
        self.fps = fps
        self.size = size
        self.seed = seed
        labels = np.array([clip.label for clip in clips])
        self.by_label = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def __getitem__(self, number: int) -> PixelWindow:
        rng = np.random.default_rng((self.seed, number))
        clip = self.clips[rng.choice(self.by_label[number % len(self.by_label)])]
        times = clip.sequence.times
        shortest = min(times[0] + (self.frames - 1) / self.fps, times[-1])
        end = rng.uniform(shortest, times[-1])
        return pixel_window(clip, window_indices(times, end, self.frames, self.fps), self.size)


def pixel_window(clip: VideoClip, rows: np.ndarray, size: int) -> PixelWindow:
    """The pictures and poses of some frames of a clip.

    Args:
        clip: The clip.
        rows: ``(T,)`` frames of its sequence.
        size: Side of the crops in px.

    Raises:
        PoseActError: The video cannot be read or lacks the frames.
    """
    sequence = clip.sequence
    joints, seen = sequence.network_joints()[rows], sequence.confidence[rows] >= SEEN
    pictures = read_frames(clip.path, sequence.times[rows])
    matrix = crop_matrix(still_square(joints[..., :2], seen, pictures[0]))
    joints[..., :2] = transform_points(matrix, joints[..., :2])
    inside = ((joints[..., :2] >= 0) & (joints[..., :2] <= 1)).all(-1)
    depth_valid = np.full_like(seen, joints.shape[-1] == 3)
    targets = PoseTargets(
        *(torch.from_numpy(part) for part in (joints, seen & inside, seen, depth_valid))
    )
    images = np.stack([warp_image(picture, matrix, size) for picture in pictures])
    return PixelWindow(images, targets, clip.label)


def still_square(joints: np.ndarray, seen: np.ndarray, picture: np.ndarray) -> Square:
    """One crop square around the visible ones of ``(T, J, 2)`` joints, or the whole picture."""
    points = joints[seen]
    if len(points) < 2:
        height, width = picture.shape[:2]
        return whole_square(width, height)
    (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return person_square((x0, y0, x1, y1))


def read_frames(path: Path, times: np.ndarray) -> list[np.ndarray]:
    """The pictures of a video at the times of some of its frames.

    Args:
        path: The video.
        times: ``(T,)`` seconds, in any order and also repeated.

    Raises:
        PoseActError: The video cannot be read or has no frames at these times.
    """
    wanted, last = set(times.tolist()), float(times.max())
    found: dict[float, np.ndarray] = {}
    with VideoReader(path) as video:
        for frame in video:
            if frame.time in wanted:
                found[frame.time] = frame.image
            if frame.time >= last:
                break
    missing = wanted - found.keys()
    if missing:
        raise PoseActError(
            f"The video {path} has no frame at {min(missing):.3f} s, where its poses were read; "
            "the file has changed, so extract its features again."
        )
    return [found[time] for time in times.tolist()]


def collate_windows(windows: Sequence[PixelWindow]) -> PixelBatch:
    """Stack windows of the same number of frames."""
    targets = zip(*(window.targets for window in windows), strict=True)
    return PixelBatch(
        torch.from_numpy(np.stack([window.images for window in windows])),
        PoseTargets(*(torch.stack(part) for part in targets)),
        torch.tensor([window.label for window in windows]),
    )
