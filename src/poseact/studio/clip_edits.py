"""The clips of a folder, edited row by row; every change can be undone."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from threading import RLock

from poseact._utils.errors import PoseActError
from poseact.actions.action_names import BACKGROUND, clean_label
from poseact.actions.answers import UNKNOWN
from poseact.clips.folder import (
    CLIPS_TABLE,
    COLUMNS,
    Clip,
    Row,
    clips_of_rows,
    find_videos,
    read_rows,
    write_rows,
)

TRASH = ".trash"
"""Folder for the files of clips that were deleted."""

MOST_CLIPS = 5000
"""Clips that a folder may have."""

_EMPTY = dict.fromkeys(COLUMNS, "")
_MOST_UNDONE = 100
_LONGEST_NAME = 60
_LONGEST_FILE = 80


class ConflictError(PoseActError):
    """The clip or action was changed in the meantime, in another tab or on the disk."""


@dataclass(frozen=True)
class _Change:
    """Rows before and after a change, and the files that it moved: where to, where from."""

    before: list[Row]
    after: list[Row]
    moved: list[tuple[Path, Path]] = field(default_factory=list[tuple[Path, Path]])


@dataclass(frozen=True)
class Listing:
    """What is in the folder.

    Attributes:
        clips: In the order of the table.
        missing: Rows whose file is not there any more.
        unlisted: Videos that no clip shows, relative to the folder.
    """

    clips: list[Clip]
    missing: list[Row]
    unlisted: list[str]


class ClipEdits:
    """Reads the folder before every change, so that changes made elsewhere are kept.

    The first change writes ``clips.csv`` where there is none yet. Columns that are not known here
    are kept. All methods may be called from several threads.

    Args:
        folder: Of clips, as :func:`~poseact.clips.folder.find_clips` reads it; may be empty.

    Raises:
        PoseActError: From every method, where the folder cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = folder / CLIPS_TABLE
        self._lock = RLock()
        self._undo: deque[_Change] = deque(maxlen=_MOST_UNDONE)

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._undo)

    def listing(self) -> Listing:
        """The clips, and what does not fit."""
        with self._lock:
            rows = self._rows()
            there = [row for row in rows if self._is_there(row)]
            missing = [row for row in rows if not self._is_there(row)]
            shown = {Path(row["file"]).as_posix() for row in there}
            files = [video.as_posix() for video in find_videos(self.folder)]
            unlisted = [file for file in files if file not in shown]
            return Listing([clip for _, clip in self._pairs(there)], missing, unlisted)

    def find(self, name: str) -> Clip:
        """The clip of a name.

        Raises:
            ConflictError: There is none, not any more.
        """
        with self._lock:
            return self._find(name)[1]

    def own_file(self, file: str) -> Path:
        """The path of a video of the folder, by the name that a listing gives it.

        Raises:
            ConflictError: No clip and no unlisted video has it, or it lies outside the folder, also
                by a link.
        """
        listing = self.listing()
        known = {relative(self.folder, clip) for clip in listing.clips} | {*listing.unlisted}
        path = self.folder / file
        if file not in known or not _is_within(path, self.folder):
            raise ConflictError("There is no such video in the folder; reload the page.")
        return path

    def add(
        self, file: str, label: str, start: float = 0.0, end: float = math.inf, part: str = ""
    ) -> Clip:
        """Add a clip of a video that lies in the folder.

        Raises:
            PoseActError: The label names no action, there are too many clips, there is this clip
                already, or no such file.
        """
        with self._changing() as rows:
            if len(rows) >= MOST_CLIPS:
                raise PoseActError(
                    f"The folder has {len(rows)} clips, and at most {MOST_CLIPS} are kept; "
                    "delete some."
                )
            if not self.table.is_file() and start == 0 and math.isinf(end):
                # A file that was put into an action's folder is a clip already.
                rows[:] = [row for row in rows if row["file"] != file]
            row = {"file": file, "label": self._spelling(rows, label), "part": part}
            row = _EMPTY | row | _stretch(start, end)
            rows.append(row)
            return self._pairs([row])[0][1]

    def change(
        self,
        name: str,
        *,
        start: float | None = None,
        end: float | None = None,
        label: str | None = None,
        part: str | None = None,
    ) -> Clip:
        """Trim a clip, move it to another action, or set the part of its recording.

        Args:
            name: Of the clip.
            start: New start in s; None to keep it, as for the others.
            end: New end in s.
            label: New action.
            part: ``train``, ``test`` or empty for a drawn one; for all clips of the recording.

        Raises:
            ConflictError: There is no such clip any more.
            PoseActError: A value makes no sense, or there is a clip of this stretch already.
        """
        with self._changing() as rows:
            row, clip = self._find(name, rows)
            if start is not None or end is not None:
                row |= _stretch(
                    clip.start if start is None else start, clip.end if end is None else end
                )
            if label is not None:
                row["label"] = self._spelling(rows, label)
            if part is not None:
                for other, of in self._pairs([r for r in rows if self._is_there(r)]):
                    if of.recording == clip.recording:
                        other["part"] = part
            return self._pairs([row])[0][1]

    def rename(self, label: str, new: str) -> str:
        """Give all clips of an action another name; returns it, cleaned.

        Raises:
            ConflictError: Another action has this name.
            PoseActError: It names no action.
        """
        with self._changing() as rows:
            clean = checked_label(new)
            if clean != label and any(clean_label(row["label"]) == clean for row in rows):
                raise ConflictError(f"There is an action {clean} already; give another name.")
            for row in rows:
                if clean_label(row["label"]) == label:
                    row["label"] = clean
            return clean

    def delete(self, names: Sequence[str]) -> None:
        """Delete clips; a file that shows no other clip is moved to ``.trash``.

        Raises:
            ConflictError: There is no such clip any more.
        """
        moved: list[tuple[Path, Path]] = []
        with self._changing(moved) as rows:
            gone = [self._find(name, rows) for name in names]
            for row, _ in gone:
                rows.remove(row)
            for file in dict.fromkeys(relative(self.folder, clip) for _, clip in gone):
                used = any(Path(row["file"]).as_posix() == file for row in rows)
                if not used and _is_within(self.folder / file, self.folder):
                    moved.append(self._to_trash(file))

    def discard(self, file: str) -> None:
        """Move a video that no clip shows to ``.trash``, or drop the rows of a missing one."""
        moved: list[tuple[Path, Path]] = []
        with self._changing(moved) as rows:
            rows[:] = [row for row in rows if row["file"] != file or self._is_there(row)]
            if file in self.listing().unlisted and _is_within(self.folder / file, self.folder):
                moved.append(self._to_trash(file))

    def undo(self) -> None:
        """Take back the last change that was made here; later ones made elsewhere stay.

        Raises:
            ConflictError: There is none, or what it changed was changed again elsewhere.
        """
        with self._lock:
            if not self._undo:
                raise ConflictError("There is nothing to undo.")
            change = self._undo.pop()
            rows = self._rows()
            if any(row not in rows for row in change.after):
                raise ConflictError(
                    "What is to be undone was changed elsewhere; it stays as it is."
                )
            for row in change.after:
                rows.remove(row)
            for trashed, original in change.moved:
                if trashed.exists() and not original.exists():
                    original.parent.mkdir(parents=True, exist_ok=True)
                    trashed.rename(original)
            write_rows(self.table, [*rows, *change.before])

    def trash(self) -> list[str]:
        """The files in ``.trash``."""
        place = self.folder / TRASH
        return sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())

    def empty_trash(self) -> None:
        """Remove the files in ``.trash`` for good."""
        with self._lock:
            if (self.folder / TRASH).is_dir() and not (self.folder / TRASH).is_symlink():
                rmtree(self.folder / TRASH)

    def place_for(self, label: str, name: str) -> Path:
        """A path without suffix in the action's folder, harmless and not taken with any suffix."""
        base, stem = self.folder / safe_name(label), safe_name(name)
        taken = {path.stem for path in base.iterdir()} if base.is_dir() else set[str]()
        names = (stem, *(f"{stem} {number}" for number in range(2, MOST_CLIPS + 2)))
        return base / next(name for name in names if name not in taken)

    def take(self, file: Path, label: str, name: str) -> Clip:
        """Move a video into the action's folder, under a name that is free, and list it.

        Args:
            file: On the same disk.
            label: Its action.
            name: Asked for; another one where it is taken.

        Raises:
            PoseActError: There are too many clips already.
        """
        # Two pages may send videos of one name at once.
        with self._lock:
            place = self.place_for(label, name)
            target = place.with_name(place.name + file.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
            return self.add(target.relative_to(self.folder).as_posix(), label)

    @contextmanager
    def _changing(self, moved: list[tuple[Path, Path]] | None = None) -> Iterator[list[Row]]:
        """The rows, to be changed in place; they are checked and written afterwards."""
        with self._lock:
            rows = self._rows()
            before = [dict(row) for row in rows]
            yield rows
            self._pairs([row for row in rows if self._is_there(row)])
            write_rows(self.table, rows)
            change = _Change(
                [row for row in before if row not in rows],
                [dict(row) for row in rows if row not in before],
                moved or [],
            )
            if change.before or change.after or change.moved:
                self._undo.append(change)

    def _rows(self) -> list[Row]:
        if self.table.is_file():
            return [_EMPTY | row for _, row in read_rows(self.table)]
        videos = [video for video in find_videos(self.folder) if len(video.parts) > 1]
        return [_EMPTY | {"file": v.as_posix(), "label": v.parts[0]} for v in videos]

    def _is_there(self, row: Row) -> bool:
        try:
            return (self.folder / row["file"]).is_file()
        except (OSError, ValueError):
            return False

    def _pairs(self, rows: Sequence[Row]) -> list[tuple[Row, Clip]]:
        clips = clips_of_rows(self.table, list(enumerate(rows, 2)))
        return list(zip(rows, clips, strict=True))

    def _find(self, name: str, rows: Sequence[Row] | None = None) -> tuple[Row, Clip]:
        rows = self._rows() if rows is None else rows
        for row, clip in self._pairs([row for row in rows if self._is_there(row)]):
            if clip.name == name:
                return row, clip
        raise ConflictError(f"There is no clip {name} any more; it was changed elsewhere.")

    def _to_trash(self, file: str) -> tuple[Path, Path]:
        original, place = self.folder / file, self.folder / TRASH / file
        count = 2
        while os.path.lexists(place):
            place = (self.folder / TRASH / file).with_stem(f"{original.stem} {count}")
            count += 1
        place.parent.mkdir(parents=True, exist_ok=True)
        original.rename(place)
        return place, original

    @staticmethod
    def _spelling(rows: Sequence[Mapping[str, str]], label: str) -> str:
        """A label as the table spells it already."""
        clean = checked_label(label)
        spelled = {clean_label(row["label"]): row["label"] for row in rows}
        return spelled.get(clean, clean)


def relative(folder: Path, clip: Clip) -> str:
    """The file of a clip as its table names it."""
    return Path(os.path.relpath(clip.path, folder)).as_posix()


def checked_label(text: str) -> str:
    """The cleaned label of an action that a person typed.

    Raises:
        PoseActError: It names no action, begins with a sign, is too long, or is ``unknown``.
    """
    label = clean_label(text)
    if label == UNKNOWN:
        raise PoseActError(
            f"The name {label} was given to an action, but it stands for motion that is not "
            "recognised; give another one."
        )
    if label != BACKGROUND and (not label[0].isalnum() or len(label) > _LONGEST_NAME):
        raise PoseActError(
            f"The name {text[:_LONGEST_NAME]!r} was given to an action; give one that begins with "
            f"a letter or digit and has at most {_LONGEST_NAME} characters."
        )
    return label


def safe_name(text: str) -> str:
    """A name of a file or folder that every system takes, from any text."""
    plain = unicodedata.normalize("NFC", text)
    plain = "".join(c if c.isalnum() or c in " -_" else "_" for c in plain)
    plain = re.sub(r"\s+", " ", plain).strip(" -")
    while len(plain.encode()) > _LONGEST_FILE:
        plain = plain[:-1]
    return plain or "clip"


def _is_within(path: Path, folder: Path) -> bool:
    """Whether a path, with its links followed, is a file in a folder."""
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _stretch(start: float, end: float) -> Row:
    """Cells of a stretch, in hundredths of a second.

    Raises:
        PoseActError: It does not start before it ends.
    """
    if not 0 <= start < end or end - start < 0.05:
        raise PoseActError(
            f"A clip from {start:.2f} s to {end:.2f} s was asked for; give an end after the start."
        )
    return {
        "start": f"{start:.2f}" if start > 0 else "",
        "end": "" if math.isinf(end) else f"{end:.2f}",
    }
