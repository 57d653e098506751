"""Prediction of photos, folders and videos: tables and drawings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import as_file, files
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact._utils.files import open_folder
from poseact._utils.interrupt import StopRequest
from poseact.inference.boxes import BoxesByFrame
from poseact.inference.canvas import FileDrawing, FoundPeople
from poseact.inference.inputs import Input, boxes_of, find_inputs, open_media
from poseact.inference.loading import Readers, load_readers
from poseact.inference.predict_file import ResultTables, Stage, empty_tables, predict_file
from poseact.inference.predictor import DEFAULT_WEIGHTS, People

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """Progress of a prediction, after every frame.

    Attributes:
        path: File that is read.
        file: Its number, from 1.
        files: Number of files.
        frame: Frames of it that are done.
        frames: Frames that it has, None where it does not say.
        stage: Whether it is read, or drawn afterwards.
    """

    path: Path
    file: int
    files: int
    frame: int
    frames: int | None
    stage: Stage = "read"


OnStep = Callable[[Step], None]


@dataclass
class PredictReport:
    """Results of a prediction and their files.

    Attributes:
        out: The folder.
        parquet: The table, see :data:`poseact.data.pose_table.COLUMNS`.
        json: The same as JSON.
        drawn: Pictures and videos with the skeletons drawn.
        actions: The table of windows, see :data:`poseact.actions.action_table.WINDOW_COLUMNS`; None
            where no actions were recognised.
        segments: The table of segments, see :data:`poseact.actions.action_table.SEGMENT_COLUMNS`.
        timelines: Pictures of the actions over time.
        coco: The poses in COCO's layout, if they were asked for.
        frames: Frames read.
        failed: Files that could not be predicted to their end, with the reason.
        interrupted: Whether the job was stopped before its end; the results hold what was done.
    """

    out: Path
    parquet: Path
    json: Path
    drawn: list[Path] = field(default_factory=list)
    actions: Path | None = None
    segments: Path | None = None
    timelines: list[Path] = field(default_factory=list)
    coco: Path | None = None
    frames: int = 0
    failed: dict[Path, str] = field(default_factory=dict)
    interrupted: bool = False


def predict(
    source: str | Path,
    out: str | Path = "poseact-out",
    *,
    weights: str | Path = DEFAULT_WEIGHTS,
    boxes: str | Path | None = None,
    num_blocks: int | None = None,
    device: str | None = None,
    people: People = "all",
    draw: bool = True,
    side_view: bool = False,
    smooth: bool = True,
    coco: bool = False,
    runtime: str | None = None,
    precision: str | None = None,
    fast: bool = False,
    on_step: OnStep | None = None,
) -> PredictReport:
    """Predict poses in photos and videos, and actions if the weights recognise any.

    Writes ``poses.parquet``, ``poses.json`` and, beside them, every photo and video with the
    skeletons drawn, ``NAME_pose.png`` and ``NAME_pose.mp4``. With weights that ``poseact
    train-actions`` wrote, the videos in which one person is followed also give
    ``actions.parquet``, ``segments.csv``, a timeline under the drawn video, and
    ``NAME_actions.png``.

    A file that cannot be read does not stop the others. On SIGINT or SIGTERM the job ends after
    the current frame, and what has been computed is written; a second signal ends it at once.

    Args:
        source: File or folder; folders are searched recursively for pictures and videos.
        out: Folder for the results; its contents are not used as input.
        weights: Name of shipped weights, a fetched preset, or a checkpoint file.
        boxes: CSV file of people's boxes with the columns source, frame, x0, y0, x1, y1 in px;
            where a photo or video has none, people are found and followed.
        num_blocks: Stop after this many prediction blocks.
        device: Device of the network, such as ``cpu``; CUDA by default if available.
        people: ``all`` for everyone in view; a number for that many, the largest; or ``one`` to
            assume exactly one person, who is located without the detector.
        draw: Write the drawn pictures and videos.
        side_view: Add the skeleton as seen from the side; 3D weights only.
        smooth: Smooth the drawn poses over time; the tables contain the unsmoothed poses.
        coco: Write ``results.coco.json`` too, which pycocotools reads.
        runtime: Runtime of the pose network, see :func:`~poseact.runtime.pose_reader.open_pose`.
        precision: Number format of the pose network, see there.
        fast: Take the 2D poses of the person detector, in COCO's skeleton, in place of the
            pose network's: the cost does not grow with the number of people.
        on_step: Called after every frame.

    Raises:
        PoseActError: Nothing could be read, a result would replace an input, or the results cannot
            be written.
    """
    source, out = Path(source), Path(out)
    inputs = find_inputs(source, out, draw)
    boxes_by_name = None if boxes is None else boxes_of(inputs, boxes)
    if fast and boxes is not None:
        raise PoseActError(
            "Boxes were given with fast, in which the person detector finds the people; leave out "
            "one of the two."
        )
    if side_view and not draw:
        raise PoseActError(
            "A side view was asked for without drawing, but it is part of the drawn pictures; "
            "leave out one of the two."
        )
    readers = load_readers(weights, num_blocks, device, people, runtime, precision, fast)
    if fast and (weights != DEFAULT_WEIGHTS or num_blocks is not None):
        default = weights == DEFAULT_WEIGHTS
        what = f"num_blocks={num_blocks}" if default else f"The weights {weights}"
        raise PoseActError(
            f"{what} cannot be given with fast, which takes the person detector's poses; "
            "leave out one of the two."
        )
    if side_view and not readers.predictor.has_depth:
        raise PoseActError(
            f"A side view was asked for, but {'fast poses' if fast else f'the weights {weights}'} "
            "are 2D; leave it out."
        )
    open_folder(out)
    report = PredictReport(out, out / "poses.parquet", out / "poses.json")
    with StopRequest() as stop:
        run = _PredictionJob(
            *(source, readers, boxes_by_name, side_view, smooth, coco, report, stop, on_step)
        )
        try:
            run.predict_all(inputs)
        finally:
            # Whatever ended the run, what was computed is kept.
            run.write_tables()
    run.check_drawn()
    if run.tables is None:
        raise PoseActError("; ".join(report.failed.values()) or "Interrupted; run it again.")
    return report


@dataclass
class _PredictionJob:
    source: Path
    readers: Readers
    boxes: dict[str, BoxesByFrame] | None
    side_view: bool
    smooth: bool
    coco: bool
    report: PredictReport
    stop: StopRequest
    on_step: OnStep | None
    tables: ResultTables | None = None

    def predict_all(self, inputs: list[Input]) -> None:
        """Predict one file after the other, until the user asks to stop."""
        for number, item in enumerate(inputs, 1):
            try:
                self.predict(item, Step(item.path, number, len(inputs), 0, None))
            except PoseActError as error:
                self.report.failed[item.path] = str(error)
            except Exception as error:  # noqa: BLE001 - one faulty file must not stop the others
                _log.debug("%s could not be predicted", item.path, exc_info=error)
                self.report.failed[item.path] = f"{type(error).__name__}: {error}"
            if self.stop:
                self.report.interrupted = True
                break

    def predict(self, item: Input, step: Step) -> None:
        """Predict one file; a stop request keeps what was done, the drawn video included."""
        # Side views and strips of actions are drawn in RGB.
        planes = item.target is not None and not self.side_view and self.readers.network is None
        media = open_media(item.path, planes=planes)
        step = replace(step, frames=media.frame_count)
        if self.tables is None:
            only = media if step.files == 1 else None
            name = self.source.name or str(self.source)
            self.tables = empty_tables(name, self.readers, only, self.coco)
        boxes = None if self.boxes is None else self.boxes.get(item.name)
        drawing = None
        if item.target is not None:
            # Numbers of boxes are no ids.
            smooth = self.smooth and boxes is None
            look = self.readers.predictor, self.side_view, smooth
            drawing = FileDrawing(item.target, item.timeline, *look)
        try:
            with media:
                done = predict_file(
                    self.readers,
                    media,
                    item.name,
                    self.tables,
                    boxes=boxes,
                    drawing=drawing,
                    watch=lambda frames, stage: self.watch(frames, replace(step, stage=stage)),
                )
        finally:
            for path in drawing.written if drawing else ():
                own = self.report.timelines if path == item.timeline else self.report.drawn
                own.append(path)
        late = sorted(frame for frame in boxes or () if frame >= done)
        if late and not self.stop:
            _log.warning("%s: the frames %s have boxes, but do not exist", item.name, late[:5])

    def watch(self, frames: Iterable[FoundPeople], step: Step) -> Iterator[FoundPeople]:
        """Pass frames on, report each after its use, and end at a stop request."""
        stopped_before = bool(self.stop)
        for done, found in enumerate(frames, 1):
            yield found
            if self.on_step is not None:
                self.on_step(replace(step, frame=done))
            if self.stop and not stopped_before:
                break

    def check_drawn(self) -> None:
        """Report drawn files that are gone, as when their folder was removed meanwhile."""
        lost = [path for path in self.report.drawn if not path.is_file()]
        self.report.drawn = [path for path in self.report.drawn if path not in lost]
        for path in lost:
            self.report.failed[path] = "It was drawn, but removed before the end; run it again."

    def write_tables(self) -> None:
        """Write the tables of the files done so far."""
        if self.tables is None:
            return
        report, actions = self.report, self.tables.actions
        report.frames = self.tables.frames
        self.tables.poses.write_parquet(report.parquet)
        self.tables.poses.write_json(report.json)
        if self.tables.coco is not None:
            report.coco = report.out / "results.coco.json"
            self.tables.coco.write(report.coco)
        if actions:
            report.actions, report.segments = (
                report.out / name for name in ("actions.parquet", "segments.csv")
            )
            actions.write_parquet(report.actions)
            actions.write_csv(report.segments)


def demo(out: str | Path = "poseact-demo", on_step: OnStep | None = None) -> PredictReport:
    """Predict the poses in the short clip that ships with the package; no network is needed.

    Args:
        out: Folder for the results.
        on_step: Called after every frame.

    Raises:
        PoseActError: The results cannot be written.
    """
    with as_file(files("poseact.assets") / "demo.mp4") as clip:
        return predict(clip, out, on_step=on_step)
