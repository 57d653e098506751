"""The main job: poses from a photo, a folder or a video, drawn and as tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import numpy as np

from poseact._utils.errors import PoseActError
from poseact._utils.files import open_folder
from poseact._utils.interrupt import StopRequest
from poseact.actions.action_table import ActionTable
from poseact.actions.answers import WindowReader
from poseact.actions.frame_pose import FramePose
from poseact.actions.timeline import action_colours, timeline_picture
from poseact.data.pose_table import PoseTable
from poseact.inference.boxes import BoxesByFrame, boxes_inside
from poseact.inference.canvas import Canvas, with_strip
from poseact.inference.inputs import Input, Photo, boxes_of, find_inputs, open_media
from poseact.inference.loading import load_readers
from poseact.inference.predictor import DEFAULT_WEIGHTS, Predictor
from poseact.media import Frame, VideoReader, write_image
from poseact.media.drawing import draw_box, draw_pose, draw_side_view
from poseact.skeleton import Skeleton

_TRUNK_MM = 500.0
_SIDE_VIEW_MM = 2000.0
_MIN_SIDE_VIEW_PX = 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """How far a prediction has come, told after every frame.

    Attributes:
        path: File that is read.
        file: Its number, from 1.
        files: Number of files.
        frame: Frames of it that are done.
        frames: Frames that it has, None where it does not say.
        stage: Videos with actions are drawn after they have been read, all others meanwhile.
    """

    path: Path
    file: int
    files: int
    frame: int
    frames: int | None
    stage: Literal["read", "draw"] = "read"


OnStep = Callable[[Step], None]

_Seen = tuple[Frame, list[FramePose]]
_Picture = Callable[[Frame, list[FramePose]], np.ndarray]


@dataclass
class PredictReport:
    """Where the results of a prediction lie.

    Attributes:
        out: The folder.
        parquet: The table, see :data:`poseact.data.pose_table.COLUMNS`.
        json: The same as JSON.
        drawn: Pictures and videos with the skeletons drawn.
        actions: The table of windows, see :data:`poseact.actions.action_table.WINDOW_COLUMNS`; None
            where no actions were told.
        segments: The table of segments, see :data:`poseact.actions.action_table.SEGMENT_COLUMNS`.
        timelines: Pictures of the actions over time.
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
    draw: bool = True,
    side_view: bool = False,
    on_step: OnStep | None = None,
) -> PredictReport:
    """Predict the poses, and what the weights know of actions, in photos and videos.

    Writes ``poses.parquet``, ``poses.json`` and, beside them, every photo and video with the
    skeletons drawn, ``NAME_pose.png`` and ``NAME_pose.mp4``. With weights that ``poseact
    train-actions`` wrote, the videos in which one person is followed also give
    ``actions.parquet``, ``segments.csv``, a timeline under the drawn video, and
    ``NAME_actions.png``.

    A file that cannot be read does not stop the others. On SIGINT or SIGTERM the job ends after
    the frame in hand, and what has been computed is written; a second signal ends it at once.

    Args:
        source: File or folder; the pictures and videos of a folder are found at any depth.
        out: Folder for the results; what lies in it already is not read as input.
        weights: Name of shipped weights, a fetched preset, or a checkpoint file.
        boxes: CSV file with the people's boxes, see
            :func:`~poseact.inference.boxes.read_boxes`; in a file without any, one person is
            searched for and followed.
        num_blocks: Stop after this many prediction blocks.
        device: Where to run; by default CUDA where there is one.
        draw: Write the drawn pictures and videos.
        side_view: Add the skeleton as seen from the side, for 3D weights.
        on_step: Called after every frame.

    Raises:
        PoseActError: Nothing could be read, a result would replace an input, or the results cannot
            be written.
    """
    source, out = Path(source), Path(out)
    inputs = find_inputs(source, out, draw)
    people = None if boxes is None else boxes_of(inputs, boxes)
    predictor, network = load_readers(weights, num_blocks, device)
    if side_view and not predictor.has_depth:
        raise PoseActError(
            f"A side view was asked for, but the weights {weights} are 2D; leave it out."
        )
    open_folder(out)
    report = PredictReport(out, out / "poses.parquet", out / "poses.json")
    with StopRequest() as stop:
        actions = None if network is None else ActionTable(network)
        run = _PredictionJob(source, predictor, people, side_view, report, stop, on_step, actions)
        try:
            run.files(inputs)
        finally:
            # Whatever ended the run, what was computed is kept.
            run.write_tables()
    run.check_drawn()
    if run.table is None:
        raise PoseActError("; ".join(report.failed.values()) or "Interrupted; run it again.")
    return report


@dataclass
class _PredictionJob:
    """A prediction under way."""

    source: Path
    predictor: Predictor
    boxes: dict[str, BoxesByFrame] | None
    side_view: bool
    report: PredictReport
    stop: StopRequest
    on_step: OnStep | None
    actions: ActionTable | None
    table: PoseTable | None = None

    def files(self, inputs: list[Input]) -> None:
        """Predict one file after the other, until the user asks to stop."""
        for number, item in enumerate(inputs, 1):
            try:
                self.file(item, Step(item.path, number, len(inputs), 0, None))
            except PoseActError as error:
                self.report.failed[item.path] = str(error)
            if self.stop:
                self.report.interrupted = True
                break

    def file(self, item: Input, step: Step) -> None:
        """Predict one file; a request to stop keeps what was done, drawn video included."""
        media = open_media(item.path)
        step = replace(step, frames=media.frame_count)
        if self.table is None:
            only = media if step.files == 1 else None
            source = self.source.name or str(self.source)
            self.table = pose_table(source, self.predictor, only)
        boxes = None if self.boxes is None else self.boxes.get(item.name)
        with media:
            if boxes is not None:
                boxes = boxes_inside(boxes, item.name, media.width, media.height)
            if self.actions is not None and isinstance(media, VideoReader) and boxes is None:
                self.actions_of(item, media, self.actions, self.table, step)
                return
            frames = self.counted(self.predictor.video(media, boxes), self.table, item.name, step)
            done = self.draw(item.target, media.fps, frames, self.people)
        late = sorted(frame for frame in boxes or () if frame >= done)
        if late and not self.stop:
            _log.warning("%s: the boxes of frames %s match no frame", item.name, late[:5])

    def actions_of(
        self, item: Input, media: VideoReader, actions: ActionTable, table: PoseTable, step: Step
    ) -> None:
        """Predict one video and its actions; it is drawn afterwards, when all of them are known."""
        windows = WindowReader(actions.network, item.name)

        def followed() -> Iterator[_Seen]:
            for frame, reading in self.predictor.follow(media):
                windows.add(frame.time, reading)
                yield frame, [reading.pose]

        frames = self.counted(followed(), table, item.name, step)
        people = [poses for _, poses in frames]
        segments = actions.append(item.name, windows.finish(), windows.end)
        if item.target is None or item.timeline is None or not people:
            return
        colours, end = action_colours(actions.network.config.labels), windows.end

        def with_actions(frame: Frame, poses: list[FramePose]) -> np.ndarray:
            drawn = self.people(frame, poses)
            return with_strip(drawn, segments, colours, (0.0, end), frame.time)

        again = ((frame, poses) for poses, frame in zip(people, media, strict=False))
        again = self.told(again, replace(step, stage="draw"))
        self.draw(item.target, media.fps, again, with_actions)
        write_image(item.timeline, timeline_picture(segments, colours, end))
        self.report.timelines.append(item.timeline)

    def counted(
        self, frames: Iterable[_Seen], table: PoseTable, name: str, step: Step
    ) -> Iterator[_Seen]:
        """The frames, each put into the table after its use, until the user asks to stop."""
        for frame, poses in self.told(frames, step):
            yield frame, poses
            for pose in poses:
                table.append(pose, name)
            self.report.frames += 1

    def told(self, frames: Iterable[_Seen], step: Step) -> Iterator[_Seen]:
        """The frames, told of after their use, until the user asks to stop in the midst of them."""
        stopped_before = bool(self.stop)
        for done, seen in enumerate(frames, 1):
            yield seen
            if self.on_step is not None:
                self.on_step(replace(step, frame=done))
            if self.stop and not stopped_before:
                break

    def draw(
        self, target: Path | None, fps: Fraction | None, frames: Iterable[_Seen], picture: _Picture
    ) -> int:
        """Draw the frames, if they are to be drawn, and return how many there were."""
        done = 0
        with ExitStack() as stack:
            canvas = None if target is None else stack.enter_context(Canvas(target, fps))
            for frame, poses in frames:
                if canvas is not None:
                    canvas.write(picture(frame, poses), frame.time)
                done += 1
        if target is not None and done:
            self.report.drawn.append(target)
        return done

    def people(self, frame: Frame, poses: list[FramePose]) -> np.ndarray:
        """A frame with its people drawn."""
        return draw_people(frame.image, poses, self.predictor, self.side_view)

    def check_drawn(self) -> None:
        """Tell of results that have gone since they were written, as with a folder removed."""
        lost = [path for path in self.report.drawn if not path.is_file()]
        self.report.drawn = [path for path in self.report.drawn if path not in lost]
        for path in lost:
            self.report.failed[path] = "It was drawn, but removed before the end; run it again."

    def write_tables(self) -> None:
        """Write what there is so far."""
        if self.table is not None:
            self.table.write_parquet(self.report.parquet)
            self.table.write_json(self.report.json)
        if self.actions:
            self.report.actions = self.report.out / "actions.parquet"
            self.report.segments = self.report.out / "segments.csv"
            self.actions.write_parquet(self.report.actions)
            self.actions.write_csv(self.report.segments)


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


def pose_table(source: str, predictor: Predictor, media: Photo | VideoReader | None) -> PoseTable:
    """An empty table for what a predictor reads.

    Args:
        source: Name of the file or folder.
        predictor: Reads it.
        media: The one file that is read, for its size and frame rate; None for several.
    """
    card = predictor.card
    return PoseTable(
        source,
        predictor.skeleton,
        fps=media.fps if media else None,
        width=media.width if media else None,
        height=media.height if media else None,
        depth_unit=predictor.depth_unit,
        model={"preset": card.preset, "licence": card.licence, "provenance": card.provenance},
    )


def draw_people(
    image: np.ndarray, poses: list[FramePose], predictor: Predictor, side_view: bool = False
) -> np.ndarray:
    """Draw every pose into a copy of the picture, with its box and number where there are several.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        poses: Poses in px of it.
        predictor: Names joints and limbs.
        side_view: Put the first person's side view, two metres high, into the upper right corner,
            unless the picture is too small for it.
    """
    for pose in poses:
        image = draw_pose(image, pose.joints[:, :2], pose.confidence, predictor.skeleton)
        if len(poses) > 1:
            image = draw_box(image, pose.box, label=str(pose.person))
    size = min(image.shape[:2]) // 3
    if side_view and poses and size >= _MIN_SIDE_VIEW_PX:
        image = image.copy()
        image[:size, -size:] = side_view_of(poses[0].joints, predictor.skeleton, size)
    return image


def side_view_of(joints: np.ndarray, skeleton: Skeleton, size: int) -> np.ndarray:
    """A person from the side, ``(size, size, 3)`` uint8 RGB, which is two metres high.

    Args:
        joints: ``(J, 3)`` x and y in px, z in mm.
        skeleton: Names the joints.
        size: Width and height in px.
    """
    scale = px_per_mm(joints, skeleton)
    return draw_side_view(joints / (scale, scale, 1), skeleton, size, extent=_SIDE_VIEW_MM)


def px_per_mm(joints: np.ndarray, skeleton: Skeleton) -> float:
    """Rough scale of a person: the trunk, pelvis to thorax, is taken to be half a metre long.

    Args:
        joints: ``(J, 3)`` x and y in px, z in mm.
        skeleton: Names the joints; without a trunk the scale is 1.
    """
    if not {"pelvis", "thorax"} <= set(skeleton.joints):
        return 1.0
    across = joints[skeleton.index("thorax")] - joints[skeleton.index("pelvis")]
    in_plane_mm = max(_TRUNK_MM**2 - float(across[2]) ** 2, (_TRUNK_MM / 4) ** 2) ** 0.5
    return max(float(np.hypot(across[0], across[1])), 1.0) / in_plane_mm
