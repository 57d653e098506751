"""People's boxes from a file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from poseact._utils.boundary import FARTHEST, one_sentence, refuse_device
from poseact._utils.csv_rows import number_of, rows_of
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.media.crop import Box, Square, person_square

BoxesByFrame = dict[int, list[Box]]

BOX_MARGIN = 1.1
"""Squares are this much larger than the boxes given, which surround people tightly."""

_LAST_FRAME = 2**53

_BOX_COLUMNS = ("source", "frame", "x0", "y0", "x1", "y1")


def read_boxes(path: str | Path) -> dict[str, BoxesByFrame]:
    """Read people's boxes from a CSV file.

    The columns ``source, frame, x0, y0, x1, y1`` hold the file relative to the folder that is
    predicted, the frame number from 0 (0 for a photo) and the box in px; several rows of one frame
    are several people. Rows that are not boxes are left out with a warning.

    Returns:
        Boxes by source and frame.

    Raises:
        PoseActError: The file cannot be read, lacks a column, or no row of it is a box.
    """
    left, found = LeftOut(path, "rows"), []
    try:
        refuse_device(Path(path))
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            columns, rows = rows_of(file)
            missing = [name for name in _BOX_COLUMNS if name not in columns]
            for line, row in () if missing else rows:
                message = (
                    f"Line {line} of the boxes in {path} is not a box ({{error}}); "
                    "give whole numbers for frame and numbers in px for x0, y0, x1, y1."
                )
                if any(row.values()):
                    with left.entry(), one_sentence(message, around=True):
                        found.append(_box_of(row))
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise PoseActError(
            f"The boxes in {path} could not be read ({reason}); check the path, and save them as "
            "CSV in UTF-8."
        ) from error
    if missing:
        raise PoseActError(
            f"The boxes in {path} lack the columns {', '.join(missing)}; "
            f"give a CSV file with the columns {', '.join(_BOX_COLUMNS)}."
        )
    left.finish(found)
    if not found:
        raise PoseActError(f"{path} holds no boxes; give a row for each person in each frame.")
    boxes: dict[str, BoxesByFrame] = {}
    for source, frame, box in found:
        boxes.setdefault(source, {}).setdefault(frame, []).append(box)
    return boxes


def boxes_inside(boxes: BoxesByFrame, name: str, width: int, height: int) -> BoxesByFrame:
    """The boxes that lie in their pictures, at least in part; a warning names the others.

    Args:
        boxes: Of one file.
        name: Of the file, for the warning.
        width: Of its pictures in px.
        height: Of its pictures in px.

    Raises:
        PoseActError: None of them does.
    """
    left, kept = LeftOut(name, "boxes"), []
    for frame, people in boxes.items():
        for box in people:
            with left.entry():
                require_inside(box, frame, width, height)
                kept.append((frame, box))
    left.finish(kept)
    inside: BoxesByFrame = {}
    for frame, box in kept:
        inside.setdefault(frame, []).append(box)
    return inside


def _box_of(row: dict[str, str]) -> tuple[str, int, Box]:
    frame = number_of(row["frame"])
    if not (0 <= frame < _LAST_FRAME and frame.is_integer()):
        raise ValueError(f"frame {row['frame']} is not a whole number from 0")
    x0, y0, x1, y1 = (number_of(row[name]) for name in _BOX_COLUMNS[2:])
    square_of((x0, y0, x1, y1))
    return row["source"], int(frame), (x0, y0, x1, y1)


def as_box(box: Sequence[float]) -> Box:
    """A box as a tuple of numbers.

    Raises:
        PoseActError: It is not four numbers.
    """
    with one_sentence(
        f"The box {box!r} is not four numbers; give x0, y0, x1, y1 in px for each person."
    ):
        x0, y0, x1, y1 = map(float, box)
        return x0, y0, x1, y1


def square_of(box: Box) -> Square:
    """Square around a person's box, a little larger.

    Raises:
        PoseActError: The box is empty or beyond any picture.
    """
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1 and max(map(abs, box)) <= FARTHEST):
        raise PoseActError(
            f"The box {tuple(box)} is empty, reversed or beyond any picture; "
            "give x0, y0, x1, y1 in px with x0 < x1 and y0 < y1."
        )
    return person_square(box, BOX_MARGIN)


def require_inside(box: Box, frame: int, width: int, height: int) -> None:
    """Refuse a box that lies outside of its picture.

    Raises:
        PoseActError: It does; the message names the frame.
    """
    x0, y0, x1, y1 = box
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise PoseActError(
            f"The box {(x0, y0, x1, y1)} of frame {frame} lies outside its picture of "
            f"{width} x {height} px; give boxes in px of the picture."
        )
