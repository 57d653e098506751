"""Tables of actions: probabilities of all windows as Parquet, segments as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from poseact._utils.csv_rows import escaped
from poseact._utils.files import atomic_write
from poseact.actions.answers import Segment, WindowAnswer, find_segments

if TYPE_CHECKING:
    from poseact.models.sequence import ActionNetwork

WINDOW_COLUMNS: dict[str, str] = {
    "source": "File the window is from, relative to the folder that was given.",
    "person": "Number of the person in the file, as in the table of poses.",
    "start": "Time of the window's first frame, in seconds since the first frame of the file.",
    "end": "Time of the window's last frame, in seconds since the first frame of the file.",
    "label": "An action.",
    "probability": "Calibrated probability of this action in the window.",
}
"""Columns of the table of windows, with one row per window and action."""

SEGMENT_COLUMNS: dict[str, str] = {
    "source": "File the segment is from, relative to the folder that was given.",
    "person": "Number of the person in the file, as in the table of poses.",
    "start": "Start, in seconds since the first frame of the file.",
    "end": "End, in seconds since the first frame of the file.",
    "label": "The action, or unknown.",
    "probability": "Mean calibrated probability of the action; of the best one if unknown.",
}
"""Columns of the table of segments."""

FORMAT = "poseact-actions-1"

_NAMES = pa.dictionary(pa.int32(), pa.string())

_TYPES: dict[str, pa.DataType] = {
    "source": _NAMES,
    "person": pa.int32(),
    "start": pa.float64(),
    "end": pa.float64(),
    "label": _NAMES,
    "probability": pa.float32(),
}


class ActionTable:
    """Actions in one or more files, in order of appending."""

    def __init__(self, network: ActionNetwork) -> None:
        self.network = network
        self._windows: list[tuple[str, int, WindowAnswer]] = []
        self._segments: list[tuple[str, int, Segment]] = []

    def __len__(self) -> int:
        return len(self._windows)

    def append(
        self,
        source: str,
        windows: Sequence[WindowAnswer],
        end: float | None = None,
        person: int = 0,
    ) -> list[Segment]:
        """Add the windows of a person in a file.

        Args:
            source: Name of the file.
            windows: In order.
            end: When the last frame ends, in s, see :func:`~poseact.actions.answers.find_segments`.
            person: Number of the person.

        Returns:
            Their segments.
        """
        # File names may contain bytes that are not valid text.
        name = source.encode("utf-8", "replace").decode()
        segments = find_segments(self.network, windows, end)
        self._windows += [(name, person, window) for window in windows]
        self._segments += [(name, person, segment) for segment in segments]
        return segments

    def facts(self) -> dict[str, Any]:
        """Metadata of the table as JSON values."""
        config, card = self.network.config, self.network.card
        return {
            "format": FORMAT,
            "labels": list(config.labels),
            "window_frames": config.frames,
            "window_fps": card.fps,
            "temperature": card.temperature,
            "unknown_below": card.unknown_below,
            "model": {
                "preset": card.preset,
                "licence": card.licence,
                "provenance": card.provenance,
            },
        }

    def write_parquet(self, path: Path) -> None:
        """Write one row per window and action, with the columns of ``WINDOW_COLUMNS``.

        The facts of the table are in the schema's metadata, as JSON under the key ``poseact``.

        Raises:
            PoseActError: The file cannot be written; a file that was there stays.
        """
        labels = self.network.config.labels
        rows = [
            (source, person, window.start, window.end, label, probability)
            for source, person, window in self._windows
            for label, probability in zip(labels, window.probabilities.tolist(), strict=True)
        ]
        columns = zip(*rows, strict=True) if rows else [()] * len(_TYPES)
        fields = [
            pa.field(name, _TYPES[name], metadata={"description": sentence})
            for name, sentence in WINDOW_COLUMNS.items()
        ]
        schema = pa.schema(fields, {b"poseact": json.dumps(self.facts()).encode()})
        arrays = [
            pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)
        ]
        table = pa.table(arrays, schema=schema)
        atomic_write(path, lambda partial: pq.write_table(table, partial, compression="zstd"))

    def write_csv(self, path: Path) -> None:
        """Write one row per segment, with the columns of ``SEGMENT_COLUMNS``.

        Raises:
            PoseActError: The file cannot be written; a file that was there stays.
        """

        def write(partial: Path) -> None:
            with partial.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(SEGMENT_COLUMNS)
                for source, person, (start, end, label, probability) in self._segments:
                    times = f"{start:.3f}", f"{end:.3f}"
                    writer.writerow(
                        (escaped(source), person, *times, escaped(label), f"{probability:.4f}")
                    )

        atomic_write(path, write)
