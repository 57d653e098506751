"""Labelled samples as rows of augmented crops, and rows as batches with masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from poseact._utils.errors import PoseActError
from poseact.data.augment import AugmentRanges, Crop, augmented_crop
from poseact.data.mix import RowKey, UnitKey
from poseact.data.sample import PoseSample
from poseact.data.video import LabelledVideo, VideoFrame
from poseact.data.video_windows import training_window
from poseact.losses import PoseTargets
from poseact.media.crop import Box, Square, person_square

Unit = tuple[PoseSample, ...]
"""What is augmented as one: a still is a unit of one sample, a clip one of T."""


@dataclass(frozen=True)
class UnitSource:
    """The units of one data set: stills, or clips of T consecutive frames.

    Attributes:
        name: For messages and logs.
        units: All of one length.
    """

    name: str
    units: Sequence[Unit]

    def __len__(self) -> int:
        return len(self.units)

    @property
    def unit_length(self) -> int:
        return len(self.units[0])

    def draw(self, index: int, _: np.random.Generator) -> Unit:
        return self.units[index]

    def action(self, _: int) -> int | None:
        return None


@dataclass(frozen=True)
class VideoSource:
    """The videos of one data set; every pass reads another window of each.

    Attributes:
        name: For messages and logs.
        videos: Any number of frames each.
        unit_length: T, frames of a window.
        strides: A window takes every s-th frame, s being one of these.
        actions: Numbers of the videos' actions; None where the actions are not learned.
    """

    name: str
    videos: Sequence[LabelledVideo]
    unit_length: int
    strides: tuple[int, ...]
    actions: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.videos)

    def draw(self, index: int, rng: np.random.Generator) -> Unit:
        video = self.videos[index]
        numbers = training_window(len(video), self.unit_length, int(rng.choice(self.strides)), rng)
        return tuple(video.samples(numbers))

    def action(self, index: int) -> int | None:
        return None if self.actions is None else self.actions[index]


Source = UnitSource | VideoSource


def stills(samples: Sequence[PoseSample]) -> list[Unit]:
    """Every sample on its own."""
    return [(sample,) for sample in samples]


def clips(samples: Sequence[PoseSample], length: int) -> list[Unit]:
    """Consecutive runs of ``length`` samples of one sequence, without overlap.

    Samples without a sequence, and what is left at the end of one, are left out.

    Raises:
        PoseActError: There is no sequence, or none is long enough.
    """
    by_sequence: dict[str, list[PoseSample]] = {}
    for sample in samples:
        if sample.sequence is not None:
            by_sequence.setdefault(sample.sequence, []).append(sample)
    if not by_sequence:
        raise PoseActError(
            f"Clips of {length} frames were asked for, but the {len(samples)} samples are photos, "
            "not frames of videos; leave out clips: true."
        )
    units = []
    for frames in by_sequence.values():
        ordered = sorted(frames, key=lambda sample: sample.frame or 0)
        starts = range(0, len(ordered) - length + 1, length)
        units += [tuple(ordered[start : start + length]) for start in starts]
    if not units:
        longest = max(len(frames) for frames in by_sequence.values())
        raise PoseActError(
            f"Clips of {length} frames were asked for, but the longest of the "
            f"{len(by_sequence)} sequences has {longest}; give a smaller clip_length, or read "
            "the frames as stills."
        )
    return units


class Row(NamedTuple):
    """One row of a batch: a clip of T frames, or T stills side by side.

    Attributes:
        crops: The T augmented crops.
        names: Their samples.
        unreadable: Data set and message of every picture that another one had to stand in for.
        actions: Of each unit, a number or None.
    """

    crops: list[Crop]
    names: list[str]
    unreadable: list[tuple[str, str]]
    actions: list[int | None]


class PoseRows(Dataset[Row]):
    """Rows of augmented crops, by key; a row's randomness depends only on its key.

    A picture that cannot be read is replaced by the next one of its data set; the row records it.

    Args:
        sources: The data sets; a key names them by their place here.
        ranges: Of the random changes.
        seed: Of the random changes.
    """

    def __init__(self, sources: Sequence[Source], ranges: AugmentRanges, seed: int) -> None:
        self.sources = sources
        self.ranges = ranges
        self.seed = seed

    def __getitem__(self, key: RowKey) -> Row:
        row = Row([], [], [], [])
        for unit in key.units:
            self._add(row, self.sources[key.source], key, unit)
        return row

    def _add(self, row: Row, source: Source, key: RowKey, wanted: UnitKey) -> None:
        rng = np.random.default_rng((self.seed, key.source, *wanted))
        augmentation = self.ranges.draw(rng)
        count = len(source)
        for attempt in range(count):
            index = (wanted.index + attempt) % count
            try:
                unit = source.draw(index, rng)
                images = read_unit(unit)
            except PoseActError as error:
                row.unreadable.append((source.name, str(error)))
                continue
            square = clip_square(unit)
            row.crops.extend(
                augmented_crop(image, sample, augmentation, key.size, square)
                for image, sample in zip(images, unit, strict=True)
            )
            row.names.extend(sample.name for sample in unit)
            row.actions.append(source.action(index))
            return
        raise PoseActError(
            f"None of the {count} pictures of {source.name} can be read; the last error: "
            f"{row.unreadable[-1][1]}"
        )


def read_unit(unit: Unit) -> list[np.ndarray]:
    """The pictures of a unit; those of one video are read together.

    Raises:
        PoseActError: A picture is missing or cannot be decoded.
    """
    frames = [sample.image for sample in unit if isinstance(sample.image, VideoFrame)]
    if len(frames) == len(unit) and len({frame.video for frame in frames}) == 1:
        return frames[0].video.read([frame.number for frame in frames])
    return [sample.image.read() for sample in unit]


def clip_square(unit: Unit) -> Square:
    """The one crop square of a unit: around the boxes of its first, middle and last frame.

    So the crop stands still while the person moves (the authors' protocol on Penn Action).
    """
    boxes = [unit[place].box for place in (0, len(unit) // 2, -1)]
    return person_square(joined_box(boxes))


def joined_box(boxes: Sequence[Box]) -> Box:
    """The smallest box that contains all of them."""
    corners = np.array(boxes)
    (x0, y0), (x1, y1) = corners[:, :2].min(0).tolist(), corners[:, 2:].max(0).tolist()
    return x0, y0, x1, y1


class PoseBatch(NamedTuple):
    """B rows of T labelled crops.

    Attributes:
        images: ``(B, T, S, S, 3)`` RGB uint8.
        targets: What a prediction is compared with.
        names: The T sample names of each row.
        unreadable: Data set and message of every picture that another one had to stand in for.
        actions: ``(B,)`` numbers of the actions; anything where there is none.
        has_action: ``(B,)`` boolean; the row is a clip whose action is learned.
    """

    images: Tensor
    targets: PoseTargets
    names: list[list[str]]
    unreadable: list[tuple[str, str]]
    actions: Tensor
    has_action: Tensor


def collate(rows: Sequence[Row]) -> PoseBatch:
    """Stack rows, each of the same number of frames."""

    def stacked(field: str) -> Tensor:
        values = [np.stack([getattr(crop, field) for crop in row.crops]) for row in rows]
        return torch.from_numpy(np.stack(values))

    targets = PoseTargets(*(stacked(field) for field in PoseTargets._fields))
    unreadable = [fault for row in rows for fault in row.unreadable]
    # Stills in one row are not a clip, whatever their labels are.
    actions = [row.actions[0] if len(row.actions) == 1 else None for row in rows]
    return PoseBatch(
        stacked("image"),
        targets,
        [row.names for row in rows],
        unreadable,
        torch.tensor([action or 0 for action in actions]),
        torch.tensor([action is not None for action in actions]),
    )
