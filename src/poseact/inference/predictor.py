"""Poses of people in pictures and videos, in the coordinates of the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference import confirm
from poseact.inference.boxes import as_box, require_inside, square_of
from poseact.inference.confirm import CANDIDATE, CHECK_FROM, Pair
from poseact.inference.detect import (
    FAST_LOOKS,
    LOOKS,
    THRESHOLD,
    Person,
    PersonDetector,
)
from poseact.inference.everyone import EveryoneFollower, Follow, find_posed
from poseact.inference.follow import LIKELY, SURE, PersonFollower, closer_square
from poseact.inference.gaps import without_gaps
from poseact.media import Frame, require_picture
from poseact.media.crop import (
    Box,
    Square,
    crop_matrix,
    warp_image,
    whole_square,
)
from poseact.models.card import Card
from poseact.runtime.choose import Choice, choices
from poseact.runtime.interface import AUTO, DEFAULT_PRECISION
from poseact.runtime.pose_reader import CropReading, PoseReader, open_pose, placed
from poseact.skeleton import COCO17

if TYPE_CHECKING:
    import torch

    from poseact.models.base import Network

DEFAULT_WEIGHTS = "small-open"

People = int | Literal["all", "one"]
"""``all`` for everyone whom the detector finds, or a number for that many, the largest. ``one``, or
1, assumes exactly one person, who is located without the person detector."""

DETECTOR_CARD = Card(
    "movenet-multipose", provenance={"weights": "MoveNet MultiPose, Google"}, licence="Apache-2.0"
)
"""Of the poses of a fast predictor."""

# A person who is small in the whole picture fills every further crop better.
_SEARCH_STEPS = 3


class Predictor:
    """Finds the poses of people in pictures and videos.

    Where boxes are given, one person is read from each. Otherwise a person detector gives the
    boxes, and in a video everybody keeps an id. With ``people="one"`` the whole picture is searched
    for one person, then the crop is taken again around the pose found; in a video that crop follows
    the person.

    Args:
        weights: Name of shipped weights, a checkpoint file or a network.
        num_blocks: Stop after this many prediction blocks (default all), to trade accuracy for
            speed.
        device: Where to run, such as ``"cpu"`` or ``"cuda"``; by default CUDA if available.
        people: How many people to look for, see :data:`People`.
        runtime: ``torch``, ``onnx``, ``openvino`` or ``auto``, see
            :func:`~poseact.runtime.pose_reader.open_pose`.
        precision: ``fp32``, ``bf16``, ``int8`` or ``auto``, the default, see there.
        fast: Take the 2D poses of the person detector, in COCO's skeleton, in place of the
            network's: the cost does not grow with the number of people. The pose network is not
            opened; ``auto`` takes OpenVINO if installed.

    Attributes:
        calibrated: Whether the confidence is the probability that a joint is right.

    Raises:
        PoseActError: The weights cannot be read or give no poses, ``num_blocks``, the device, the
            runtime or the precision do not exist, or ``people`` is no number from 1.
    """

    def __init__(
        self,
        weights: str | Path | Network = DEFAULT_WEIGHTS,
        num_blocks: int | None = None,
        device: str | torch.device | None = None,
        people: People = "all",
        runtime: str | None = None,
        precision: str | None = None,
        fast: bool = False,
    ) -> None:
        self.people_limit = _checked_people(people)
        self.fast = fast
        self._pose = weights, num_blocks, device, runtime, precision
        if fast:
            self.card, self.skeleton = DETECTOR_CARD, COCO17
            self.has_depth = self.calibrated = False
            bits = DEFAULT_PRECISION if precision in (None, AUTO) else precision
            self.detector = PersonDetector(device, choices(*placed(device, runtime, bits))[-1])
            self.device = self.detector.device
            return
        facts, running = self.reader.facts, self.reader.runtime
        self.card, self.skeleton = facts.card, facts.skeleton
        self.has_depth, self.calibrated = facts.has_depth, facts.calibrated
        self.device = running.device
        choice = Choice(running.name, running.precision)
        self.detector = None if self.people_limit == 1 else PersonDetector(self.device, choice)

    @cached_property
    def reader(self) -> PoseReader:
        """The pose network."""
        return open_pose(*self._pose)

    @property
    def image_size(self) -> int:
        """Side in px of the crops that the pose network reads."""
        return self.reader.facts.image_size

    @property
    def sure(self) -> float:
        """Confidence from which a joint is used to locate the person."""
        return LIKELY if self.calibrated else SURE

    @property
    def depth_unit(self) -> str | None:
        """Unit of z: mm relative to the pelvis, or None for a 2D network."""
        return "mm" if self.has_depth else None

    def image(
        self, image: np.ndarray, boxes: Sequence[Box] | None = None, frame: int = 0, time: float = 0
    ) -> list[FramePose]:
        """Poses in one picture.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            boxes: One per person; None finds people as ``people`` of the predictor says.
            frame: Number to give the picture.
            time: Its time in s.

        Returns:
            One pose per box; without boxes one per person found, the largest first, none where
            nobody is in view, and exactly one with ``people="one"``. Joints in px of the picture.

        Raises:
            PoseActError: The array is no picture, or a box is none, empty or outside of it.
        """
        require_picture(image)
        if boxes is None and self.detector is not None:
            found = self._found(self.detector, image, frame, time)
            found.sort(key=lambda pair: -pair[0].area)
            return [
                replace(reading.pose, person=number, person_box=one.box, score=one.score)
                for number, (one, reading) in enumerate(found[: self.people_limit])
            ]
        if boxes is not None:
            if self.fast:
                raise PoseActError(
                    "Boxes were given to a fast predictor, whose detector finds the people; leave "
                    "out the boxes or fast."
                )
            given = [as_box(box) for box in boxes]
            for box in given:
                require_inside(box, frame, image.shape[1], image.shape[0])
            readings = self.read(image, [square_of(box) for box in given], frame, time)
            pairs = zip(readings, given, strict=True)
            return [replace(one.pose, person_box=box) for one, box in pairs]
        reading, _ = self._search(image, frame, time)
        return [reading.pose]

    def _found(
        self, detector: PersonDetector, image: np.ndarray, frame: int, time: float
    ) -> list[Pair]:
        """The people in a picture."""
        looks = FAST_LOOKS if self.fast else LOOKS
        picture = Frame(frame, time, image)
        least = CHECK_FROM if self.calibrated else CANDIDATE
        found = find_posed(detector, self.read, picture, looks, fast=self.fast, least=least)
        return self.shown(*found)

    def shown(self, people: Sequence[Person], readings: Sequence[PersonReading]) -> list[Pair]:
        """The detections that count as people.

        Args:
            people: From a score of :data:`~poseact.inference.confirm.CHECK_FROM` on.
            readings: Their poses.
        """
        if self.calibrated:
            return confirm.shown(people, readings)
        pairs = zip(people, readings, strict=True)
        return [pair for pair in pairs if pair[0].score >= THRESHOLD]

    def video(
        self,
        frames: Iterable[Frame],
        boxes: Mapping[int, Sequence[Box]] | None = None,
        pictures: bool = True,
    ) -> Iterator[tuple[Frame, list[FramePose]]]:
        """Poses in the frames of a video, one frame after the other.

        Args:
            frames: As a :class:`~poseact.media.VideoReader` gives them.
            boxes: Boxes by frame number; a frame without any has no person. None follows the
                people found as ``people`` of the predictor says; ``person`` of their poses is an
                id that stays, and moments in which somebody is not seen are interpolated.
            pictures: Whether the frames keep their pictures; without, they take less memory.

        Yields:
            Each frame with its poses, up to half a second after it is read.

        Raises:
            PoseActError: As :meth:`image`.
        """
        if boxes is None:
            for frame, readings in self.readings(frames, pictures):
                yield frame, [reading.pose for reading in readings]
            return
        for frame in map(_checked_frame, frames):
            people = boxes.get(frame.index, ())
            yield frame, self.image(frame.image, people, frame.index, frame.time)

    def readings(
        self, frames: Iterable[Frame], pictures: bool = True
    ) -> Iterator[tuple[Frame, list[PersonReading]]]:
        """As :meth:`video` without boxes, with what action networks read."""
        frames = map(_checked_frame, frames)
        if self.detector is not None:
            everyone = self.everyone(self.detector, self.people_limit)
            yield from without_gaps(everyone, frames, pictures)
            return
        follower = self.follower()
        for frame in frames:
            yield frame, follower(frame)

    def follower(self) -> Follow:
        """Reads the people in the frames of one video, given one after the other."""
        if self.detector is None:
            one = PersonFollower()
            return lambda frame, late=False: [self.follow_frame(frame, one)]  # noqa: ARG005
        return self.everyone(self.detector, self.people_limit).readings

    def everyone(self, detector: PersonDetector, limit: int | None = None) -> EveryoneFollower:
        """Follows everyone whom a detector finds, at most ``limit`` people at a time."""
        return EveryoneFollower(
            *(detector, self.read, self.sure, limit),
            *(self.skeleton.limb_indices, self.calibrated, self.fast),
        )

    def follow(
        self, frames: Iterable[Frame], follower: PersonFollower | None = None
    ) -> Iterator[tuple[Frame, PersonReading]]:
        """One person through the frames of a video, with what action networks read.

        Args:
            frames: In order.
            follower: Keeps the person's square; give one to go on from frames before.

        Yields:
            Each frame with the person.
        """
        follower = follower or PersonFollower()
        for frame in frames:
            yield frame, self.follow_frame(frame, follower)

    def follow_frame(self, frame: Frame, follower: PersonFollower) -> PersonReading:
        """The person that the follower tracks, in the next frame."""
        number, time = frame.index, frame.time
        height, width = frame.image.shape[:2]
        square = follower.square_in(width, height)
        if square is None:
            reading, square = self._search(frame.image, number, time)
        else:
            (reading,) = self.read(frame.image, [square], number, time)
        pose = reading.pose
        follower.update(
            pose.joints, pose.confidence, reading.spread, square, width, height, self.sure
        )
        return reading

    def _search(self, image: np.ndarray, frame: int, time: float) -> tuple[PersonReading, Square]:
        """The pose in the whole picture, then repeatedly in the square of that pose.

        Also returns the square that the last one was read from.
        """
        height, width = image.shape[:2]
        square = whole_square(width, height)
        (reading,) = self.read(image, [square], frame, time)
        for _ in range(_SEARCH_STEPS):
            pose, spread = reading.pose, reading.spread
            closer = closer_square(
                pose.joints, pose.confidence, spread, square, width, height, self.sure
            )
            if closer is None:
                break
            square = closer
            (reading,) = self.read(image, [square], frame, time)
        return reading, square

    def read(
        self, image: np.ndarray, squares: Sequence[Square], frame: int = 0, time: float = 0
    ) -> list[PersonReading]:
        """The people in squares of one picture.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            squares: One per person.
            frame: Number to give the picture.
            time: Its time in s.
        """
        if not squares:
            return []
        crops = np.stack([warp_image(image, crop_matrix(one), self.image_size) for one in squares])
        joints, confidence, sharpness, spread, appearance = self.crops(crops)
        height, width = image.shape[:2]
        readings = []
        for person, (x, y, side) in enumerate(squares):
            half = side / 2
            points = joints[person].astype(np.float64)
            points[:, :2] = points[:, :2] * side + (x - half, y - half)
            inside = ((points[:, :2] >= 0) & (points[:, :2] <= (width, height))).all(1)
            pose = FramePose(
                frame,
                time,
                person,
                points.astype(np.float32),
                confidence[person],
                inside & (confidence[person] >= SURE),
                (x - half, y - half, x + half, y + half),
            )
            readings.append(
                PersonReading(pose, sharpness[person], spread[person] * side, appearance[person])
            )
        return readings

    def crops(self, crops: np.ndarray) -> CropReading:
        """Poses in crops that are already cut.

        Args:
            crops: ``(N, S, S, 3)`` uint8 RGB of the network's size.
        """
        return self.reader(crops)


def _checked_frame(frame: object) -> Frame:
    """The frame, if it is one."""
    if not isinstance(frame, Frame):
        raise PoseActError(
            f"A video of {type(frame).__name__} was given; give frames, as a VideoReader does."
        )
    require_picture(frame.image)
    return frame


def _checked_people(people: People) -> int | None:
    """The maximum number of people, None for everyone."""
    if people in ("all", "one"):
        return 1 if people == "one" else None
    if isinstance(people, bool) or not isinstance(people, int) or people < 1:
        raise PoseActError(f"people={people!r} was given; give 'all', 'one' or a number from 1.")
    return people
