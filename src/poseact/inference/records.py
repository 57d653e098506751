"""Folder of a distributed prediction: tables of each file, and records for resuming."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from poseact._utils.boundary import one_sentence, parse_json, reason_of
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write, open_folder

FORMAT = "poseact-job-1"

_log = logging.getLogger(__name__)

INDEX_COLUMNS: dict[str, str] = {
    "source": "File, relative to the folder that was given.",
    "status": "done, failed, or waiting for a file that no run has finished yet.",
    "poses": "Its table of poses, relative to the folder of the results; null if there is none.",
    "actions": "Its table of windows, likewise; null where no actions were recognised.",
    "segments": "Its table of segments, likewise; null where no actions were recognised.",
    "frames": "Frames read.",
    "seconds": "Time that reading, predicting and writing took.",
    "bytes": "Size of the file.",
    "attempts": "How often the run that finished it began it; more than 1 where workers were lost.",
    "worker": "Host and process that finished it.",
    "reason": "Why it failed; null otherwise.",
}
"""What each column of the index holds; it has a row for every file of the collection."""

_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("source", "status", "poses", "actions", "segments"), pa.string()),
    "frames": pa.int64(),
    "seconds": pa.float64(),
    "bytes": pa.int64(),
    "attempts": pa.int32(),
    **dict.fromkeys(("worker", "reason"), pa.string()),
}

# Small files of a network drive are read several at a time, for each takes a round trip.
_READS_AT_ONCE = 32


@dataclass(frozen=True)
class FileRecord:
    """Record of one file; ``done`` is written after its tables, so they are complete.

    Attributes:
        source: Name of the file, relative to the folder that was given.
        status: ``started``, ``done`` or ``failed``.
        run: Which run wrote this.
        attempts: How often that run began the file.
        bytes: Size of the file.
        worker: Host and process.
        frames: Frames read.
        seconds: Time that it took.
        actions: Whether there are tables of actions.
        reason: Why it failed.
    """

    source: str
    status: Literal["started", "done", "failed"]
    run: str
    attempts: int
    bytes: int
    worker: str
    frames: int = 0
    seconds: float = 0.0
    actions: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class JobFolder:
    """Paths of the tables and records of a distributed prediction.

    Attributes:
        root: The folder of the results.
    """

    root: Path

    @property
    def index(self) -> Path:
        """The table of all files, see ``INDEX_COLUMNS``."""
        return self.root / "index.parquet"

    def poses(self, name: str) -> Path:
        return self.root / "poses" / f"{name}.parquet"

    def actions(self, name: str) -> Path:
        return self.root / "actions" / f"{name}.parquet"

    def segments(self, name: str) -> Path:
        return self.root / "segments" / f"{name}.csv"

    def claim(self, options: dict[str, Any]) -> None:
        """Reserve the folder for predictions of these options.

        Args:
            options: What the results depend on, as JSON values.

        Raises:
            PoseActError: It holds results of other options, or cannot be written.
        """
        open_folder(self.root)
        path = self.root / "job.json"
        facts = {"format": FORMAT, **options}
        former = _read_json(path)
        if former is None:
            atomic_write(path, lambda partial: partial.write_text(json.dumps(facts, indent=1)))
            return
        other = [key for key in facts if former.get(key) != facts[key]]
        if other:
            raise PoseActError(
                f"The folder {self.root} holds results of other options ({', '.join(other)}); "
                "give the same options as before, or another folder."
            )

    def read(self, name: str) -> FileRecord | None:
        """The record of a file; or None, or a damaged one, with a warning."""
        path = self._record(name)
        try:
            found = _read_json(path)
            return None if found is None else _record_of(name, found)
        except PoseActError as error:
            _log.warning("%s", error)
        return None

    def write(self, record: FileRecord) -> None:
        """Write the record of a file.

        Raises:
            PoseActError: It cannot be written.
        """
        text = json.dumps(asdict(record))
        atomic_write(self._record(record.source), lambda partial: partial.write_text(text))

    def read_all(self, names: Sequence[str]) -> list[FileRecord | None]:
        """The records of many files, in their order."""
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            return list(pool.map(self.read, names))

    def waiting(self, source: Path, names: Sequence[str]) -> list[str]:
        """The files to predict: those without complete results for their current size."""
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            done = pool.map(lambda name: self._is_done(source / name, name), names)
            return [name for name, is_done in zip(names, done, strict=True) if not is_done]

    def write_index(self, names: Sequence[str], records: Sequence[FileRecord | None]) -> None:
        """Write one row per file, with the columns of ``INDEX_COLUMNS``.

        Raises:
            PoseActError: It cannot be written.
        """
        rows = [self._row(name, record) for name, record in zip(names, records, strict=True)]
        fields = [
            pa.field(name, _TYPES[name], metadata={"description": sentence})
            for name, sentence in INDEX_COLUMNS.items()
        ]
        table = pa.Table.from_pylist(rows, pa.schema(fields))
        atomic_write(self.index, lambda partial: pq.write_table(table, partial, compression="zstd"))

    def _record(self, name: str) -> Path:
        return self.root / "records" / f"{name}.json"

    def _is_done(self, path: Path, name: str) -> bool:
        record = self.read(name)
        if record is None or record.status != "done" or not self.poses(name).is_file():
            return False
        try:
            return path.stat().st_size == record.bytes
        except OSError:
            return False

    def _row(self, name: str, record: FileRecord | None) -> dict[str, Any]:
        row: dict[str, Any] = {"source": _text(name), "status": "waiting"}
        if record is None or record.status == "started":
            return row
        facts = asdict(record)
        row |= {key: facts[key] for key in INDEX_COLUMNS if key in facts and key != "source"}
        row["actions"] = None
        if record.status == "done":
            row["poses"] = self._relative(self.poses(name))
        if record.actions:
            row["actions"] = self._relative(self.actions(name))
            row["segments"] = self._relative(self.segments(name))
        return row

    def _relative(self, path: Path) -> str:
        return _text(path.relative_to(self.root).as_posix())


def _read_json(path: Path) -> dict[str, Any] | None:
    """The content of a JSON file, or None."""
    try:
        found = parse_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise PoseActError(
            f"The record {path} cannot be read ({reason_of(error)}); remove it, and its file "
            "is predicted again."
        ) from error
    if not isinstance(found, dict):
        raise PoseActError(f"The record {path} is not a JSON object; remove it.")
    return found


def _record_of(name: str, found: dict[str, Any]) -> FileRecord:
    """A record, checked for its file and types."""
    with one_sentence(
        f"The record of {name} is invalid ({{error}}), so the file is predicted again."
    ):
        record = FileRecord(**found)
        texts = (record.run, record.worker, "" if record.reason is None else record.reason)
        whole = (record.attempts, record.bytes, record.frames)
        if (
            record.source != name
            or record.status not in ("started", "done", "failed")
            or not all(isinstance(text, str) for text in texts)
            or not all(type(number) is int and 0 <= number < 2**53 for number in whole)
            or record.attempts >= 2**31
            or type(record.seconds) not in (int, float)
            or not 0 <= record.seconds < 2**53
            or type(record.actions) is not bool
        ):
            raise ValueError("a field has another type or belongs to another file")
        # The index holds no text that cannot be written.
        "".join(texts).encode()
    return record


def _text(name: str) -> str:
    """A file's name with ``?`` for bytes that are no text."""
    return name.encode("utf-8", "replace").decode()
