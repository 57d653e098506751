"""Distributed prediction of a large collection.

Every file is predicted separately. Workers write its tables, then its record, so whatever ends a
worker or the whole job, the next one resumes without reading a finished file again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import torch

from poseact._utils.errors import PoseActError
from poseact._utils.interrupt import StopRequest
from poseact.inference.boxes import BoxesByFrame
from poseact.inference.inputs import boxes_of, find_inputs
from poseact.inference.loading import load_readers
from poseact.inference.predict_worker import FileWorker, WorkerJob, packed_item
from poseact.inference.predictor import DEFAULT_WEIGHTS, People
from poseact.inference.ray_engine import ray_session, run_workers, workers_that_fit
from poseact.inference.records import FileRecord, JobFolder
from poseact.runtime.interface import DEFAULT_PRECISION
from poseact.weights.checkpoint import load

_Item = tuple[str, BoxesByFrame | None]

OnFile = Callable[[int, int], None]
"""Called with the files finished, those of earlier runs among them, and those in all."""


@dataclass
class DistributedReport:
    """Results of a distributed prediction and their files.

    Attributes:
        out: The folder.
        index: The table of all files, see :data:`poseact.inference.records.INDEX_COLUMNS`.
        files: Files of the collection.
        done: Files with whole results, those of earlier runs among them.
        before: Those of them that earlier runs had done.
        frames: Frames of the files that are done.
        seconds: Time that this run took.
        failed: Files that could not be predicted, with the reason.
        interrupted: Whether the run was stopped before its end; the same call resumes it.
    """

    out: Path
    index: Path
    files: int
    done: int
    before: int
    frames: int
    seconds: float
    failed: dict[Path, str] = field(default_factory=dict)
    interrupted: bool = False


def predict_distributed(
    source: str | Path,
    out: str | Path,
    *,
    weights: str | Path = DEFAULT_WEIGHTS,
    boxes: str | Path | None = None,
    num_blocks: int | None = None,
    device: str | None = None,
    people: People = "all",
    runtime: str | None = None,
    precision: str = DEFAULT_PRECISION,
    workers: int | None = None,
    cpus_per_worker: int = 1,
    gpus_per_worker: float | None = None,
    on_file: OnFile | None = None,
) -> DistributedReport:
    """Predict the poses and actions in a collection of videos and photos on Ray Data.

    Writes, below ``out``, ``poses/NAME.parquet`` for every file, ``actions/NAME.parquet`` and
    ``segments/NAME.csv`` where the weights know actions, and ``index.parquet``, which lists
    every file. A file that fails is recorded with the reason and does not stop the others. Run
    again, the same call leaves out the files that are done and tries again those that failed.

    It runs on the cluster that ``$RAY_ADDRESS`` names, on one that the caller has initialised, or
    else on a Ray of its own on this machine, which ends with the call. Source, results and weight
    files must have the same paths on all machines.

    Args:
        source: File or folder; folders are searched recursively for pictures and videos.
        out: Folder for the results.
        weights: Name of shipped weights, a fetched preset, or a checkpoint file.
        boxes: CSV file with the people's boxes, as in :func:`~poseact.inference.predict.predict`.
        num_blocks: Stop after this many prediction blocks.
        device: Where workers run; by default CUDA if they are given GPUs, else the CPU.
        people: As in :func:`~poseact.inference.predict.predict`.
        runtime: Runtime of the pose network, see :func:`~poseact.runtime.pose_reader.open_pose`.
        precision: Number format of the pose network, see there.
        workers: Number of Ray processes; by default as many as fit into the cluster.
        cpus_per_worker: CPU cores, and threads, of each Ray process.
        gpus_per_worker: Share of a GPU for each Ray process, such as 0.25 for four on one GPU; by
            default 1 if the device is CUDA, else 0.
        on_file: Called as files are finished.

    Raises:
        PoseActError: Nothing could be read, the folder holds results of other options or cannot be
            written, or Ray cannot go on.
    """
    began = time.perf_counter()
    gpus = gpus_per_worker
    if gpus is None:
        gpus = 1.0 if (device or "").startswith("cuda") else 0.0
    _check_workers(workers, cpus_per_worker, gpus)
    source, folder = Path(source).absolute(), JobFolder(Path(out).absolute())
    inputs = find_inputs(source, folder.root, draw=False)
    boxes_by_name = {} if boxes is None else boxes_of(inputs, boxes)
    if Path(weights).is_file():
        weights = str(Path(weights).absolute())
    # Loaded here first, so that unsuitable weights are reported before any work.
    load_readers(weights, num_blocks, "cpu", people, runtime, precision)
    root = source if source.is_dir() else source.parent
    options = {"source": str(root), "weights": _digest(weights), "num_blocks": num_blocks}
    if precision != DEFAULT_PRECISION:
        options["precision"] = precision
    folder.claim(options | {"boxes": _file_digest(boxes), "people": people})
    names = [item.name for item in inputs]
    waiting = folder.waiting(root, names)
    device = device or ("cuda" if gpus else "cpu")
    job = WorkerJob(
        *(uuid4().hex, root, folder, str(weights), num_blocks, people, device, cpus_per_worker),
        *(runtime, precision),
    )
    run = _DistributedJob(job, len(names), len(names) - len(waiting), on_file or (lambda *_: None))
    try:
        if waiting:
            run.predict([(name, boxes_by_name.get(name)) for name in waiting], workers, gpus)
    finally:
        # Whatever ended the run, the index lists what there is.
        records = folder.read_all(names)
        folder.write_index(names, records)
    return run.report(records, time.perf_counter() - began)


@dataclass
class _DistributedJob:
    job: WorkerJob
    files: int
    before: int
    on_file: OnFile
    interrupted: bool = False

    def predict(self, items: list[_Item], workers: int | None, gpus: float) -> None:
        """Predict the files, until the user asks to stop."""
        cpus = self.job.threads
        done = self.before
        # Ray sets handlers of its own when it starts, so signals are listened to after that.
        with ray_session(workers and workers * cpus), StopRequest() as stop:
            count = min(workers or workers_that_fit(cpus, gpus), len(items))
            rows = [packed_item(*item) for item in items]
            self.on_file(done, self.files)
            for answer in run_workers(
                rows, FileWorker, (self.job,), workers=count, cpus=cpus, gpus=gpus, stop=stop
            ):
                if answer["error"]:
                    raise PoseActError(answer["error"])
                done += 1
                self.on_file(done, self.files)
            self.interrupted = bool(stop) and done < self.files

    def report(self, records: list[FileRecord | None], seconds: float) -> DistributedReport:
        """The report of the run."""
        folder, known = self.job.folder, [record for record in records if record is not None]
        done = [record for record in known if record.status == "done"]
        failed = {
            self.job.root / record.source: record.reason or ""
            for record in known
            if record.status == "failed"
        }
        frames = sum(record.frames for record in done)
        return DistributedReport(
            *(folder.root, folder.index, self.files, len(done), self.before, frames, seconds),
            failed,
            self.interrupted,
        )


def _check_workers(workers: int | None, cpus: int, gpus: float) -> None:
    """Refuse invalid options of workers."""
    if workers is not None and workers < 1:
        raise PoseActError(f"{workers} workers were asked for; give 1 or more.")
    if cpus < 1 or gpus < 0:
        raise PoseActError(
            f"Workers of {cpus} CPU cores and {gpus:g} GPUs were asked for; give at least 1 core "
            "and no less than 0 GPUs."
        )


def _digest(weights: str | Path) -> str:
    """Digest of the parameters, independent of where the file is."""
    digest = hashlib.sha256()
    for name, tensor in sorted(load(weights).state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _file_digest(path: str | Path | None) -> str | None:
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()
