"""The result tables: every joint of every person in every frame, as Parquet and as JSON.

A photo, a folder of photos and a video give tables of the same columns, those of ``COLUMNS``.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from poseact._utils.boundary import one_sentence, parse_json, require_bounded
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact.actions.frame_pose import FramePose
from poseact.data.formats.parquet_file import (
    column,
    dictionary_column,
    require_sizes,
    texts_column,
)
from poseact.data.pose_json import write_pose_json
from poseact.skeleton import Skeleton

COLUMNS: dict[str, str] = {
    "source": "File the frame is from, relative to the folder that was given.",
    "frame": "Number of the frame in its file, in order of presentation, from 0; 0 for a photo.",
    "time": "Seconds since the first frame of the file; 0 for a photo.",
    "person": (
        "Number of the person, from 0: the id that stays through a video in which people are "
        "followed, or the number within a photo or the boxes given for a frame."
    ),
    "joint": "Name of the joint; left and right are the person's own.",
    "x": "Across, in px of the source from its left edge; null without an estimate.",
    "y": "Down, in px of the source from its upper edge; null without an estimate.",
    "z": (
        "Depth relative to the root joint, larger being further from the camera, in the table's "
        "depth_unit; null without an estimate."
    ),
    "confidence": (
        "From 0 to 1: for calibrated weights, such as small-open, how probably the joint is right; "
        "for others, how surely it lies inside the crop."
    ),
    "visible": "Whether the joint lies inside the picture with a confidence of at least 0.5.",
    "box_x0": "Left edge, in px of the source, of the crop the pose was read from.",
    "box_y0": "Upper edge of that crop in px of the source.",
    "box_x1": "Right edge of that crop in px of the source.",
    "box_y1": "Lower edge of that crop in px of the source.",
}
"""What each column of the table holds, in one sentence each.

In JSON the four columns of the crop are one list, ``box``.
"""

DEPTH_UNITS = ("mm", "relative")

FORMAT = "poseact-table-1"

_METADATA_KEY = b"poseact"

_BOX = ("box_x0", "box_y0", "box_x1", "box_y1")

_NAMES = pa.dictionary(pa.int32(), pa.string())

_TYPES: dict[str, pa.DataType] = {
    "source": _NAMES,
    "frame": pa.int32(),
    "time": pa.float64(),
    "person": pa.int32(),
    "joint": _NAMES,
    "x": pa.float32(),
    "y": pa.float32(),
    "z": pa.float32(),
    "confidence": pa.float32(),
    "visible": pa.bool_(),
    **dict.fromkeys(_BOX, pa.float32()),
}

# Poses converted to columns at a time, which limits the memory needed for writing.
POSES_PER_BATCH = 8192

_MOST_FACTS = 10**5


class PoseTable:
    """The poses of one photo, one folder of photos or one video, in the order they are appended.

    Numbers are held as float32, about 0.3 kB for a person of 16 joints.

    Args:
        source: Name of what was given: a file or a folder.
        skeleton: Names the J joints.
        fps: Average frames per second of a video, None for photos.
        width: Width of the pictures in px, None where they differ.
        height: Height of the pictures in px, None where they differ.
        depth_unit: ``mm`` or ``relative``, with joints of 3 coordinates, or None, with joints of 2.
        model: Where the poses come from: name, version, weights and the like, as JSON values.

    Raises:
        PoseActError: The depth unit is not a known one or the model's facts cannot be put in JSON.
    """

    def __init__(
        self,
        source: str,
        skeleton: Skeleton,
        *,
        fps: Fraction | float | None = None,
        width: int | None = None,
        height: int | None = None,
        depth_unit: str | None = None,
        model: dict[str, Any] | None = None,
    ) -> None:
        if depth_unit is not None and depth_unit not in DEPTH_UNITS:
            raise PoseActError(
                f"The depth unit {depth_unit!r} was given for a result table; "
                f"give one of {', '.join(DEPTH_UNITS)}, or None for joints without depth."
            )
        self.source = _text(source)
        self.skeleton = skeleton
        self.fps = None if fps is None else float(fps)
        self.width = width
        self.height = height
        self.depth_unit = depth_unit
        self.model = {} if model is None else model
        try:
            json.dumps(self.facts(), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise PoseActError(
                f"The metadata of a result table cannot be written as JSON ({error}); "
                f"give numbers, strings, and lists and dictionaries of these."
            ) from error
        self._source_numbers: dict[str, int] = {}
        self._sources = array("i")
        self._frames = array("i")
        self._times = array("d")
        self._persons = array("i")
        self._joints = array("f")
        self._confidence = array("f")
        self._visible = array("B")
        self._boxes = array("f")

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[FramePose]:
        for _, pose in self.items():
            yield pose

    def items(self) -> Iterator[tuple[str, FramePose]]:
        """Every pose with its source, in the order of appending."""
        names = list(self._source_numbers)
        for start in range(0, len(self), POSES_PER_BATCH):
            batch = self._batch(start)
            for k in range(len(batch["frame"])):
                yield (
                    names[batch["source"][k]],
                    FramePose(
                        frame=int(batch["frame"][k]),
                        time=float(batch["time"][k]),
                        person=int(batch["person"][k]),
                        joints=batch["joints"][k],
                        confidence=batch["confidence"][k],
                        visible=batch["visible"][k],
                        box=tuple(batch["box"][k].tolist()),
                    ),
                )

    def append(self, pose: FramePose, source: str | None = None) -> None:
        """Add a person of a frame.

        Args:
            pose: The pose; its arrays are copied.
            source: The file it is from, relative to the folder that was given; None for the
                table's own source.

        Raises:
            PoseActError: The arrays do not fit the skeleton or the depth unit.
        """
        count = len(self.skeleton)
        shapes = (np.shape(pose.joints), np.shape(pose.confidence), np.shape(pose.visible))
        expected = ((count, self._dimensions), (count,), (count,))
        if shapes != expected or len(pose.box) != 4:
            raise PoseActError(
                f"A pose with joints, confidence and visible of shapes {shapes} and a box of "
                f"{len(pose.box)} numbers was given to a table of skeleton {self.skeleton.name} "
                f"with depth unit {self.depth_unit}; give shapes {expected} and 4 numbers."
            )
        name = self.source if source is None else _text(source)
        self._frames.append(pose.frame)
        self._times.append(pose.time)
        self._persons.append(pose.person)
        self._sources.append(self._source_numbers.setdefault(name, len(self._source_numbers)))
        self._joints.frombytes(np.asarray(pose.joints, np.float32).tobytes())
        self._confidence.frombytes(np.asarray(pose.confidence, np.float32).tobytes())
        self._visible.frombytes(np.asarray(pose.visible, bool).tobytes())
        self._boxes.extend(pose.box)

    def facts(self) -> dict[str, Any]:
        """Metadata of the table, as JSON values."""
        return {
            "format": FORMAT,
            "source": self.source,
            "fps": self.fps,
            "width": self.width,
            "height": self.height,
            "depth_unit": self.depth_unit,
            "skeleton": {
                "name": self.skeleton.name,
                "joints": list(self.skeleton.joints),
                "limbs": [list(limb) for limb in self.skeleton.limbs],
            },
            "model": self.model,
        }

    def write_parquet(self, path: Path) -> None:
        """Write one row per joint, person and frame, with the columns of ``COLUMNS``.

        The facts of the table are in the schema's metadata, as JSON under the key ``poseact``, and
        each column's sentence is in its own metadata under ``description``.

        Raises:
            PoseActError: The file cannot be written; a file that was there stays.
        """
        atomic_write(path, self._write_parquet)

    def write_json(self, path: Path) -> None:
        """Write one JSON object: the facts, ``columns`` (``COLUMNS``) and ``frames``.

        ``frames`` has ``{source, frame, time, people}`` for every frame with a person in it, and
        ``people`` has ``{person, box, joints}``, where joints gives ``{x, y, z, confidence,
        visible}`` by name. Numbers are rounded to a meaningful precision. The file has one line
        per frame.

        Raises:
            PoseActError: The file cannot be written; a file that was there stays.
        """

        def write(partial: Path) -> None:
            with partial.open("w", encoding="utf-8", newline="\n") as stream:
                facts = {**self.facts(), "columns": COLUMNS}
                write_pose_json(stream, facts, self.depth_unit, self.items())

        atomic_write(path, write)

    @classmethod
    def read_parquet(cls, path: Path) -> PoseTable:
        """Read a table that ``write_parquet`` wrote.

        Returns:
            The table, equal to the one written, numbers being those of float32.

        Raises:
            PoseActError: The file cannot be read or is not such a table.
        """
        with (
            one_sentence(
                f"The file {path} could not be read as a table of poses ({{error}}); "
                "give a Parquet file that PoseAct wrote."
            ),
            # Strings stay dictionary-encoded: expanded, they may be a million times larger.
            pq.ParquetFile(path, read_dictionary=["source", "joint"]) as file,
        ):
            return cls._read(file, path)

    @property
    def _dimensions(self) -> int:
        return 2 if self.depth_unit is None else 3

    def _batch(self, start: int) -> dict[str, np.ndarray]:
        """Arrays of up to ``POSES_PER_BATCH`` poses, copied, by the names of `FramePose`."""
        count = len(self.skeleton)

        def taken(values: array, dtype: type, *shape: int) -> np.ndarray:
            each = math.prod(shape)
            part = values[start * each : (start + POSES_PER_BATCH) * each]
            return np.frombuffer(part, dtype).reshape(-1, *shape)

        return {
            "source": taken(self._sources, np.int32),
            "frame": taken(self._frames, np.int32),
            "time": taken(self._times, np.float64),
            "person": taken(self._persons, np.int32),
            "joints": taken(self._joints, np.float32, count, self._dimensions),
            "confidence": taken(self._confidence, np.float32, count),
            "visible": taken(self._visible, np.bool_, count),
            "box": taken(self._boxes, np.float32, 4),
        }

    def _schema(self) -> pa.Schema:
        fields = [
            pa.field(name, _TYPES[name], metadata={"description": sentence})
            for name, sentence in COLUMNS.items()
        ]
        return pa.schema(fields, {_METADATA_KEY: json.dumps(self.facts()).encode()})

    def _write_parquet(self, path: Path) -> None:
        schema = self._schema()
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for start in range(0, len(self), POSES_PER_BATCH):
                columns = self._columns(self._batch(start))
                writer.write_table(pa.table([columns[name] for name in COLUMNS], schema=schema))

    def _columns(self, batch: dict[str, np.ndarray]) -> dict[str, pa.Array]:
        count, poses = len(self.skeleton), len(batch["frame"])
        joint_numbers = np.tile(np.arange(count, dtype=np.int32), poses)
        joints = batch["joints"].reshape(poses * count, -1)
        z = joints[:, 2] if self.depth_unit else np.full(poses * count, np.nan, np.float32)
        plain: dict[str, np.ndarray] = {
            **{name: np.repeat(batch[name], count) for name in ("frame", "time", "person")},
            "x": joints[:, 0],
            "y": joints[:, 1],
            "z": z,
            "confidence": batch["confidence"].ravel(),
            "visible": batch["visible"].ravel(),
            **{name: np.repeat(batch["box"][:, k], count) for k, name in enumerate(_BOX)},
        }
        sources = np.repeat(batch["source"], count)
        return {
            **{name: column(values) for name, values in plain.items()},
            "source": texts_column(sources, list(self._source_numbers)),
            "joint": texts_column(joint_numbers, self.skeleton.joints),
        }

    @classmethod
    def _read(cls, file: pq.ParquetFile, path: Path) -> PoseTable:
        metadata = file.schema_arrow.metadata or {}
        if _METADATA_KEY not in metadata:
            raise ValueError("it has no metadata of PoseAct")
        facts = parse_json(metadata[_METADATA_KEY])
        require_bounded(facts, _MOST_FACTS)
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']}, not {FORMAT}")
        skeleton = facts["skeleton"]
        table = cls(
            facts["source"],
            Skeleton(
                skeleton["name"],
                tuple(skeleton["joints"]),
                tuple((a, b) for a, b in skeleton["limbs"]),
            ),
            **{name: facts[name] for name in ("fps", "width", "height", "depth_unit", "model")},
        )
        require_sizes(path, file.metadata, len(table.skeleton))
        # Whole poses: a batch of rows could end within one otherwise.
        for rows in file.iter_batches(POSES_PER_BATCH * len(table.skeleton), columns=[*COLUMNS]):
            table._extend(rows)
        return table

    def _extend(self, rows: pa.RecordBatch) -> None:
        count = len(self.skeleton)
        joints_there, numbers = dictionary_column(rows, "joint")
        expected = [joints_there.index(joint) for joint in self.skeleton.joints]
        if len(rows) % count or (numbers.reshape(-1, count) != expected).any():
            raise ValueError(f"its rows are not whole poses of skeleton {self.skeleton.name}")
        sources, places = dictionary_column(rows, "source")
        names = [sources[place] for place in places[::count].tolist()]

        def values(name: str) -> np.ndarray:
            return rows.column(name).to_numpy(zero_copy_only=False).reshape(-1, count)

        axes = "xyz"[: self._dimensions]
        joints = np.stack([values(axis) for axis in axes], -1)
        boxes = np.stack([values(name)[:, 0] for name in _BOX], -1).tolist()
        frames, times, persons = (
            values(name)[:, 0].tolist() for name in ("frame", "time", "person")
        )
        confidence, visible = values("confidence"), values("visible")
        for k, name in enumerate(names):
            pose = FramePose(
                frame=frames[k],
                time=times[k],
                person=persons[k],
                joints=joints[k],
                confidence=confidence[k],
                visible=visible[k],
                box=tuple(boxes[k]),
            )
            self.append(pose, name)


def _text(name: str) -> str:
    """A file name with ``?`` for bytes that are not text, which neither format can store."""
    return name.encode("utf-8", "replace").decode()
