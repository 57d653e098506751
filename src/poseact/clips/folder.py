"""The user's clips: a folder of videos per action, or a table of clips."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from poseact._utils.boundary import inside, one_sentence
from poseact._utils.csv_rows import number_of, rows_of
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write, walk_files
from poseact.actions.action_names import clean_label, clean_labels
from poseact.inference.boxes import square_of
from poseact.inference.inputs import DRAWN
from poseact.media import VIDEO_SUFFIXES
from poseact.media.crop import Box
from poseact.media.find import warn_skipped

CLIPS_TABLE = "clips.csv"
"""Name of the table that lists the clips of a folder."""

_REQUIRED = ("file", "start", "end", "label")
COLUMNS = (*_REQUIRED, "recording", "part")
"""Columns of the table."""
_PARTS = ("train", "test")

Row = dict[str, str]
"""A line of the table: its cells by column."""


class Stretch(NamedTuple):
    """A part of a video, and the person to track in it.

    Attributes:
        start: Start in seconds since the first frame.
        end: Exclusive end in seconds since the first frame.
        person: The id that ``poseact predict`` gives, or the box in px when the stretch begins;
            None for the one of the largest who moves most.
    """

    start: float
    end: float
    person: int | Box | None = None


@dataclass(frozen=True)
class Clip:
    """A stretch of a video that shows one action.

    Attributes:
        path: The video.
        name: Unique within its folder: the file relative to it, with the stretch if it has one.
        label: Its action, cleaned by :func:`~poseact.actions.action_names.clean_label`.
        recording: Name of the recording, by default the file; never split between training and
            test.
        start: Start in seconds since the first frame.
        end: Exclusive end in seconds since the first frame; infinite for the end of the video.
        part: ``train`` or ``test`` if given by the table, else None.
        person: Who is followed, if given by the table, see :class:`Stretch`.
    """

    path: Path
    name: str
    label: str
    recording: str
    start: float = 0.0
    end: float = math.inf
    part: str | None = None
    person: int | Box | None = None

    @property
    def stretch(self) -> Stretch:
        return Stretch(self.start, self.end, self.person)


def find_clips(folder: str | Path) -> list[Clip]:
    """Find the clips in a folder.

    Either every action has a folder with its videos, at any depth below it, or ``clips.csv`` lists
    them with the columns ``file, start, end, label`` and, if wanted, ``recording``, ``part`` and
    ``person``: the file relative to the folder, seconds since its first frame (empty for its start
    or end), the action, a name for the recording, ``train`` or ``test``, and who
    is followed: an id of ``poseact predict``, or x0 y0 x1 y1 of the box when the clip begins. The
    label ``_other`` is for motions that are none of the actions. Hidden files are left out.

    Returns:
        In the order of their names, or in that of the table.

    Raises:
        PoseActError: There is no such folder, it holds no clips, a video lies in no action's
            folder, a line of the table makes no sense, or two labels are the same once cleaned.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PoseActError(
            f"There is no folder {folder}; give one that holds a folder of videos for each action."
        )
    table = folder / CLIPS_TABLE
    clips = _from_table(table) if table.is_file() else _from_folders(folder)
    if not clips:
        raise PoseActError(
            f"The folder {folder} holds no clips; put a folder of videos for each action there, "
            f"or a {CLIPS_TABLE} with the columns {', '.join(_REQUIRED)}."
        )
    return clips


def find_videos(folder: Path) -> list[Path]:
    """The videos below a folder, relative to it, whether its table lists them or not.

    Copies drawn by ``poseact predict`` beside the originals are left out, because they would
    leak between training and test.
    """
    found = (path.relative_to(folder) for path in walk_files(folder) if _is_video(path))
    return _without_drawn(found)


def _without_drawn(found: Iterable[Path]) -> list[Path]:
    videos = list(found)
    originals = {video.with_suffix("") for video in videos}
    return [
        video
        for video in videos
        if not video.stem.endswith(DRAWN)
        or video.with_name(video.stem.removesuffix(DRAWN)) not in originals
    ]


def _from_folders(folder: Path) -> list[Clip]:
    files = walk_files(folder)
    videos = _without_drawn(path.relative_to(folder) for path in files if _is_video(path))
    if videos:
        warn_skipped(folder, [path for path in files if not _is_video(path)])
    for video in videos:
        if len(video.parts) == 1:
            raise PoseActError(
                f"The video {folder / video} is not in the folder of an action; move it into one, "
                f"or list it in {CLIPS_TABLE}."
            )
    labels = clean_labels(video.parts[0] for video in videos)
    return [
        Clip(folder / video, video.as_posix(), labels[video.parts[0]], video.as_posix())
        for video in videos
    ]


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _from_table(table: Path) -> list[Clip]:
    return clips_of_rows(table, read_rows(table))


def clips_of_rows(table: Path, rows: Sequence[tuple[int, Row]]) -> list[Clip]:
    """The clip of each row.

    Args:
        table: Where the rows stand; files are relative to its folder.
        rows: With the numbers of their lines.

    Raises:
        PoseActError: A row makes no sense, or two labels are the same once cleaned.
    """
    clips: dict[str, Clip] = {}
    for line, row in rows:
        with one_sentence(
            f"Line {line} of {table} is not a clip ({{error}}); give a file, start and end in "
            "seconds or empty, and a label.",
            around=True,
        ):
            clip = _clip(table.parent, row)
        if clip.name in clips:
            raise PoseActError(
                f"Line {line} of {table} lists the clip {clip.name} again; give each clip once."
            )
        clips[clip.name] = clip
    # Two spellings of one label would be two actions.
    clean_labels(row["label"] for _, row in rows)
    return list(clips.values())


def read_rows(table: Path) -> list[tuple[int, Row]]:
    """The non-empty rows of a table with the numbers of their lines.

    Raises:
        PoseActError: It cannot be read, or lacks a column.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            columns, lines = rows_of(file)
            missing = [name for name in _REQUIRED if name not in columns]
            rows = list(lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PoseActError(f"{table} could not be read ({error}); save it as UTF-8 CSV.") from error
    if missing:
        raise PoseActError(
            f"{table} lacks the columns {', '.join(missing)}; "
            f"give {', '.join(_REQUIRED)}, separated by commas."
        )
    return [(line, row) for line, row in rows if any(row.values())]


def write_rows(table: Path, rows: Sequence[Row]) -> None:
    """Write a table of clips; unknown columns are kept.

    Raises:
        PoseActError: The file cannot be written.
    """

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            columns = dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)])
            writer = csv.DictWriter(file, list(columns), restval="")
            writer.writeheader()
            writer.writerows(rows)

    atomic_write(table, write)


def _clip(folder: Path, row: Row) -> Clip:
    path = inside(folder, row["file"])
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    label = clean_label(row["label"])
    start = number_of(row["start"] or "0")
    end = number_of(row["end"] or "inf")
    if not 0 <= start < end:
        raise ValueError(f"it starts at {start:g} s and ends at {end:g} s")
    part = row.get("part") or None
    if part not in (None, *_PARTS):
        raise ValueError(f"the part is {part!r}, not {' or '.join(_PARTS)}")
    file = Path(row["file"]).as_posix()
    whole = start == 0 and math.isinf(end)
    name = file if whole else f"{file} [{start:g}-{end:g} s]"
    person = _person(row.get("person") or "")
    if person is not None:
        name = f"{name} of {row['person']}"
    return Clip(path, name, label, row.get("recording") or file, start, end, part, person)


def _person(text: str) -> int | Box | None:
    words = text.split()
    if len(words) == 4:
        x0, y0, x1, y1 = map(number_of, words)
        square_of((x0, y0, x1, y1))  # which refuses what is no box
        return x0, y0, x1, y1
    elif len(words) == 1 and text.strip().isdecimal():
        return int(text)
    elif not words:
        return None
    raise ValueError(f"the person is {text!r}, not an id or x0 y0 x1 y1 in px")
