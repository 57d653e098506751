"""Worker of a distributed prediction, which keeps a record of each file."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import torch

from poseact._utils.errors import PoseActError
from poseact.inference.boxes import BoxesByFrame
from poseact.inference.inputs import Photo, open_media
from poseact.inference.loading import Readers, load_readers
from poseact.inference.predict_file import empty_tables, predict_file
from poseact.inference.predictor import People
from poseact.inference.records import FileRecord, JobFolder

ATTEMPTS = 3
"""A file that ends its worker this often within one run is given up by it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerJob:
    """Options of the workers.

    Attributes:
        run: Identifies this run among those on the same folder.
        root: Folder of the files.
        folder: Of the results.
        weights: Name or file.
        num_blocks: Prediction blocks to run, None for all.
        people: How many people to look for.
        device: Where to run.
        threads: Threads of each worker.
        runtime: Runtime of the pose network.
        precision: Number format of the pose network.
    """

    run: str
    root: Path
    folder: JobFolder
    weights: str
    num_blocks: int | None
    people: People
    device: str
    threads: int
    runtime: str | None
    precision: str


class FileWorker:
    """A process that holds the network; Ray starts it, and restarts it if it dies.

    Args:
        job: What to do.
    """

    def __init__(self, job: WorkerJob) -> None:
        self._job = job
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        torch.set_num_threads(job.threads)
        cv2.setNumThreads(job.threads)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Predict a file.

        Args:
            row: ``item``, from :func:`packed_item`.

        Returns:
            ``error``: None, or an error that every other file would cause too.
        """
        try:
            self._predict(*pickle.loads(row["item"]))
        except PoseActError as error:
            return {"error": str(error)}
        return {"error": None}

    @cached_property
    def _readers(self) -> Readers:
        job = self._job
        return load_readers(
            *(job.weights, job.num_blocks, job.device, job.people, job.runtime, job.precision)
        )

    def _predict(self, name: str, boxes: BoxesByFrame | None) -> None:
        job, path = self._job, self._job.root / name
        attempts = 1
        former = job.folder.read(name)
        if former is not None and former.run == job.run:
            # A task that is tried again holds files that were finished the first time.
            if former.status != "started":
                return
            attempts = former.attempts + 1
        # The size of a missing file is 0; the error comes from reading it.
        size = path.stat().st_size if path.is_file() else 0
        record = FileRecord(name, "started", job.run, attempts, size, self._name)
        if attempts > ATTEMPTS:
            reason = (
                f"Its worker was lost {ATTEMPTS} times while it was read; it may be damaged, or "
                "too long for the memory."
            )
            job.folder.write(replace(record, status="failed", reason=reason))
            return
        readers = self._readers
        job.folder.write(record)
        began = time.perf_counter()
        record = self._tried(record, readers, path, boxes)
        job.folder.write(replace(record, seconds=time.perf_counter() - began))

    def _tried(
        self, record: FileRecord, readers: Readers, path: Path, boxes: BoxesByFrame | None
    ) -> FileRecord:
        """The record of a file after its tables were written, or after they could not be."""
        folder, name = self._job.folder, record.source
        try:
            with open_media(path) as media:
                tables = empty_tables(name, readers, media)
                predict_file(readers, media, name, tables, boxes=boxes)
            # Photos, and videos read by boxes, have no windows.
            actions = None if isinstance(media, Photo) or boxes is not None else tables.actions
            if actions is not None:
                actions.write_parquet(folder.actions(name))
                actions.write_csv(folder.segments(name))
            tables.poses.write_parquet(folder.poses(name))
        except PoseActError as error:
            return replace(record, status="failed", reason=str(error))
        except Exception as error:  # noqa: BLE001 - one faulty file must not stop a million others
            _log.warning("%s could not be predicted", path, exc_info=error)
            return replace(record, status="failed", reason=f"{type(error).__name__}: {error}")
        return replace(record, status="done", frames=tables.frames, actions=actions is not None)


def packed_item(name: str, boxes: BoxesByFrame | None) -> dict[str, Any]:
    """A file as a row for :class:`FileWorker`.

    Args:
        name: Relative to the folder of the files; it may hold bytes that are no text.
        boxes: People's boxes by frame, None to find people.
    """
    return {"item": pickle.dumps((name, boxes))}
