"""The sample type of all action data sets: a video of one person with poses and an action."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.images import ImageSource
from poseact.data.sample import PoseSample
from poseact.media import VideoReader
from poseact.skeleton import Skeleton


class FrameSource(Protocol):
    """The pictures of a video; ``str`` gives its name for messages. Frames are counted from 0."""

    def __len__(self) -> int: ...

    def exists(self) -> bool:
        """Whether there is something to read, without reading it."""
        ...

    def read(self, numbers: Sequence[int]) -> list[np.ndarray]:
        """``(H, W, 3)`` uint8 RGB of each of these frames, in any order and also repeated.

        Raises:
            PoseActError: A frame is missing or cannot be decoded.
        """
        ...


@dataclass(frozen=True)
class FrameImages:
    """A video whose frames are picture files."""

    name: str
    images: tuple[ImageSource, ...]

    def __str__(self) -> str:
        return self.name

    def __len__(self) -> int:
        return len(self.images)

    def exists(self) -> bool:
        """Whether the first and the last picture exist."""
        return self.images[0].exists() and self.images[-1].exists()

    def read(self, numbers: Sequence[int]) -> list[np.ndarray]:
        pictures = {number: self.images[number].read() for number in set(numbers)}
        return [pictures[number] for number in numbers]


@dataclass(frozen=True)
class FrameVideo:
    """A video file; reading decodes it from its start to the last frame asked for.

    Attributes:
        path: The file.
        length: Number of its frames, as the data set states it.
    """

    path: Path
    length: int

    def __str__(self) -> str:
        return str(self.path)

    def __len__(self) -> int:
        return self.length

    def exists(self) -> bool:
        return self.path.is_file()

    def read(self, numbers: Sequence[int]) -> list[np.ndarray]:
        found = dict(self.existing(numbers))
        if missing := set(numbers) - found.keys():
            raise self.lacks(min(missing))
        return [found[number] for number in numbers]

    def existing(self, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Those of these frames that exist, with their numbers, decoded in one pass.

        Raises:
            PoseActError: The video cannot be read.
        """
        wanted, last = set(numbers), max(numbers)
        # Labels are in px of the pictures as they are stored.
        with VideoReader(self.path, square_pixels=False) as video:
            for number, frame in enumerate(video):
                if number in wanted:
                    yield number, frame.image
                if number >= last:
                    return

    def lacks(self, number: int) -> PoseActError:
        """The error of a frame that does not exist."""
        return PoseActError(
            f"The video {self.path} has no frame {number}, but its labels have {self.length}; "
            "fetch the file again."
        )


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video, as the picture of a :class:`~poseact.data.sample.PoseSample`."""

    video: FrameSource
    number: int

    def __str__(self) -> str:
        return f"{self.video}:{self.number}"

    def exists(self) -> bool:
        return self.video.exists()

    def read(self) -> np.ndarray:
        (image,) = self.video.read([self.number])
        return image


@dataclass(frozen=True)
class VideoPoses:
    """The labels of a video of N frames for the J joints of a skeleton.

    Attributes:
        joints: ``(N, J, 2)`` px, or ``(N, J, 3)`` with the depth in mm behind the root; 0 where
            not valid.
        valid: ``(N, J)`` boolean; the joint has a label.
        visible: ``(N, J)`` boolean; the label says that the joint can be seen.
        depth_valid: ``(N, J)`` boolean; the depth has a label.
        boxes: ``(N, 4)`` px: x0, y0, x1, y1 tight around what the data set labels.
    """

    joints: np.ndarray
    valid: np.ndarray
    visible: np.ndarray
    depth_valid: np.ndarray
    boxes: np.ndarray

    def load(self) -> VideoPoses:
        return self


class PoseSource(Protocol):
    """Labels that are read when they are needed; it can be pickled."""

    def load(self) -> VideoPoses:
        """The labels.

        Raises:
            PoseActError: They cannot be read.
        """
        ...


@dataclass(frozen=True)
class LabelledVideo:
    """A video of one person.

    Attributes:
        name: Unique in its data set, for messages.
        frames: Its N pictures.
        skeleton: Names the joints.
        poses: Its labels, in that skeleton.
        action: What the person does; None where it is not known.
        fps: Frames per second.
        part: ``train`` or ``test`` where the data set defines it, else None.
        recording: Name of the recording that it is part of.
    """

    name: str
    frames: FrameSource
    skeleton: Skeleton
    poses: PoseSource
    action: str | None
    fps: float
    part: str | None = None
    recording: str | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def samples(self, numbers: Sequence[int]) -> list[PoseSample]:
        """Some frames, in any order and also repeated, as samples of a pose data set.

        Raises:
            PoseActError: The labels cannot be read.
        """
        poses = self.poses.load()
        return [
            PoseSample(
                name=f"{self.name}#{number}",
                image=VideoFrame(self.frames, number),
                skeleton=self.skeleton,
                joints=poses.joints[number],
                valid=poses.valid[number],
                visible=poses.visible[number],
                depth_valid=poses.depth_valid[number],
                box=tuple(poses.boxes[number].tolist()),
                sequence=self.name,
                frame=number,
            )
            for number in numbers
        ]

    def sequence(self) -> PoseSequence:
        """The labelled poses as a sequence, the input of the action model.

        Raises:
            PoseActError: The labels cannot be read.
        """
        poses = self.poses.load()
        known = poses.valid[..., None]
        return PoseSequence(
            name=self.name,
            skeleton=self.skeleton,
            times=np.arange(len(self)) / self.fps,
            joints=np.where(known, poses.joints, 0).astype(np.float32),
            confidence=(poses.valid & poses.visible).astype(np.float32),
            label=self.action,
            recording=self.recording,
            part=self.part,
        )


def action_numbers(videos: Sequence[LabelledVideo], labels: Sequence[str]) -> tuple[int, ...]:
    """The videos' actions as indices of the labels.

    Raises:
        PoseActError: A video has no action, or one that is not among the labels.
    """
    for video in videos:
        if video.action not in labels:
            raise PoseActError(
                f"The video {video.name} shows {video.action!r}, which is none of the network's "
                f"{len(labels)} labels ({', '.join(labels[:5])}, …); leave it out, or give a "
                "network with the labels of its data."
            )
    return tuple(labels.index(str(video.action)) for video in videos)
