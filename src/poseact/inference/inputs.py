"""Inputs of a prediction: files, their names in the results, and boxes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.inference.boxes import BoxesByFrame, read_boxes
from poseact.media import VIDEO_SUFFIXES, Frame, VideoReader, find_media, read_image

DRAWN = "_pose"
"""How the name of a drawn picture or video ends."""


@dataclass(frozen=True)
class Input:
    """A file to predict.

    Attributes:
        path: Where it is.
        name: In the tables.
        target: Where it is drawn to, if it is.
        timeline: Where the actions of a video are drawn to, if they are.
    """

    path: Path
    name: str
    target: Path | None
    timeline: Path | None


def find_inputs(source: Path, out: Path, draw: bool) -> list[Input]:
    """The files to predict in a path.

    Raises:
        PoseActError: There is none, or a result would replace one.
    """
    paths = find_media(source, leave_out=out)
    root = source if source.is_dir() else source.parent
    names = [path.relative_to(root) for path in paths]
    targets = [out / name if draw else None for name in _drawn_names(names)]
    timelines = [_timeline_of(target) for target in targets]
    # Not Path.resolve, which fails at a link to itself.
    originals = {os.path.realpath(path) for path in paths}
    for target in (*targets, *timelines):
        if target is not None and os.path.realpath(target) in originals:
            raise PoseActError(
                f"The result {target} would replace a picture or video that is to be read; "
                "give another folder by --out."
            )
    return [
        Input(path, name.as_posix(), target, timeline)
        for path, name, target, timeline in zip(paths, names, targets, timelines, strict=True)
    ]


def boxes_of(inputs: list[Input], path: str | Path) -> dict[str, BoxesByFrame]:
    """The boxes in a file, by input and frame.

    Raises:
        PoseActError: The file cannot be read, or has boxes for other inputs alone.
    """
    names = {item.name for item in inputs}
    left = LeftOut(path, "files with boxes")
    found: dict[str, BoxesByFrame] = {}
    for name, boxes in read_boxes(path).items():
        with left.entry():
            if name not in names:
                raise PoseActError(
                    f"The boxes in {path} are for {name!r}, which is not among the files to read, "
                    f"such as {inputs[0].name!r}; name files relative to the folder given."
                )
            found[name] = boxes
    left.finish(found)
    return found


class Photo:
    """A photo with the interface of a :class:`VideoReader`."""

    fps: Fraction | None = None
    frame_count = 1

    def __init__(self, path: Path) -> None:
        self._frame = Frame(0, 0.0, read_image(path))
        self.height, self.width = self._frame.image.shape[:2]

    def __enter__(self) -> Photo:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def __iter__(self) -> Iterator[Frame]:
        return iter((self._frame,))


def open_media(path: Path, planes: bool = False) -> Photo | VideoReader:
    """Open an input by its suffix.

    Args:
        path: The file.
        planes: See :class:`VideoReader`.

    Raises:
        PoseActError: It cannot be read.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoReader(path, planes=planes)
    return Photo(path)


def _timeline_of(target: Path | None) -> Path | None:
    """``NAME_actions.png`` for ``NAME_pose.mp4``."""
    if target is None or target.suffix != ".mp4":
        return None
    return target.with_name(f"{target.stem.removesuffix(DRAWN)}_actions.png")


def _drawn_names(sources: list[Path]) -> list[Path]:
    """Unique names of the drawn files, also on case-insensitive file systems."""
    names: list[Path] = []
    taken: set[str] = set()
    for source in sources:
        suffix = ".mp4" if source.suffix.lower() in VIDEO_SUFFIXES else ".png"
        stems = (source.stem, f"{source.stem}_{source.suffix[1:].lower()}")
        numbered = (f"{stems[1]}_{i}" for i in count(2))
        candidates = (source.with_name(f"{s}{DRAWN}{suffix}") for s in chain(stems, numbered))
        name = next(c for c in candidates if c.as_posix().casefold() not in taken)
        taken.add(name.as_posix().casefold())
        names.append(name)
    return names
