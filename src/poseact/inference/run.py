"""The main job: poses from a photo, a folder or a video, drawn and as tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.resources import as_file, files
from itertools import chain, count
from pathlib import Path

import numpy as np

from poseact.draw import draw_box, draw_pose, draw_side_view
from poseact.errors import PoseActError
from poseact.files import unwritable
from poseact.inference.boxes import BoxesByFrame, read_boxes
from poseact.inference.predictor import DEFAULT_WEIGHTS, Predictor
from poseact.inference.results import FramePose, PoseTable
from poseact.interrupt import StopRequest
from poseact.media import (
    VIDEO_SUFFIXES,
    Frame,
    VideoReader,
    VideoWriter,
    find_media,
    read_image,
    write_image,
)
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
    """

    path: Path
    file: int
    files: int
    frame: int
    frames: int | None


OnStep = Callable[[Step], None]


@dataclass
class PredictReport:
    """Where the results of a prediction lie.

    Attributes:
        out: The folder.
        parquet: The table, see :data:`poseact.inference.results.COLUMNS`.
        json: The same as JSON.
        drawn: Pictures and videos with the skeletons drawn.
        frames: Frames read.
        failed: Files that could not be predicted to their end, with the reason.
        interrupted: Whether the job was stopped before its end; the results hold what was done.
    """

    out: Path
    parquet: Path
    json: Path
    drawn: list[Path] = field(default_factory=list)
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
    """Predict the poses in a photo, a folder of photos and videos, or a video.

    Writes ``poses.parquet``, ``poses.json`` and, beside them, every photo and video with the
    skeletons drawn, ``NAME_pose.png`` and ``NAME_pose.mp4``. A file that cannot be read does not
    stop the others. On SIGINT or SIGTERM the job ends after the frame in hand, and what has been
    computed is written; a second signal ends it at once.

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
    inputs = _inputs(source, out, draw)
    people = None if boxes is None else _boxes_of(inputs, boxes)
    predictor = Predictor(weights, num_blocks, device)
    if side_view and not predictor.has_depth:
        raise PoseActError(
            f"A side view was asked for, but the weights {weights} are 2D; leave it out."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise PoseActError(f"{out} is a file; give a folder for the results.") from None
    except OSError as error:
        raise unwritable(out, error) from error
    report = PredictReport(out, out / "poses.parquet", out / "poses.json")
    with StopRequest() as stop:
        run = _Run(source, predictor, people, side_view, report, stop, on_step)
        try:
            run.files(inputs)
        finally:
            # Whatever ended the run, what was computed is kept.
            run.write_tables()
    if run.table is None:
        raise PoseActError("; ".join(report.failed.values()) or "Interrupted; run it again.")
    return report


@dataclass(frozen=True)
class _Input:
    """A file to predict: where it is, its name in the tables, where it is drawn."""

    path: Path
    name: str
    target: Path | None


def _inputs(source: Path, out: Path, draw: bool) -> list[_Input]:
    paths = find_media(source, leave_out=out)
    root = source if source.is_dir() else source.parent
    names = [path.relative_to(root) for path in paths]
    targets = [out / name if draw else None for name in _drawn_names(names)]
    originals = {path.resolve() for path in paths}
    for target in targets:
        if target is not None and target.resolve() in originals:
            raise PoseActError(
                f"The result {target} would replace a picture or video that is to be read; "
                "give another folder by --out."
            )
    return [
        _Input(path, name.as_posix(), target)
        for path, name, target in zip(paths, names, targets, strict=True)
    ]


def _boxes_of(inputs: list[_Input], path: str | Path) -> dict[str, BoxesByFrame]:
    boxes = read_boxes(path)
    for unknown in boxes.keys() - {item.name for item in inputs}:
        raise PoseActError(
            f"The boxes in {path} are for {unknown!r}, which is not among the {len(inputs)} files "
            "that are to be read; name them relative to the folder given."
        )
    return boxes


@dataclass
class _Run:
    """A prediction under way."""

    source: Path
    predictor: Predictor
    boxes: dict[str, BoxesByFrame] | None
    side_view: bool
    report: PredictReport
    stop: StopRequest
    on_step: OnStep | None
    table: PoseTable | None = None

    def files(self, inputs: list[_Input]) -> None:
        """Predict one file after the other, until the user asks to stop."""
        for number, item in enumerate(inputs, 1):
            try:
                self.file(item, number, len(inputs))
            except PoseActError as error:
                self.report.failed[item.path] = str(error)
            if self.stop:
                self.report.interrupted = True
                break

    def file(self, item: _Input, number: int, total: int) -> None:
        """Predict one file; a request to stop keeps what was done, drawn video included."""
        media = _open(item.path)
        if self.table is None:
            self.table = _table(self.source, self.predictor, media if total == 1 else None)
        boxes = None if self.boxes is None else self.boxes.get(item.name)
        done = 0
        writer: VideoWriter | None = None
        with media, ExitStack() as stack:
            for frame, poses in self.predictor.video(media, boxes):
                if item.target is not None:
                    drawn = draw_people(frame.image, poses, self.predictor, self.side_view)
                    if media.fps is None:
                        write_image(item.target, drawn)
                    else:
                        # Not before there is a frame: a video without any is an error.
                        writer = writer or stack.enter_context(
                            VideoWriter(item.target, media.fps, media.width, media.height)
                        )
                        writer.write(drawn, frame.time)
                for pose in poses:
                    self.table.append(pose, item.name)
                done += 1
                self.report.frames += 1
                if self.on_step is not None:
                    self.on_step(Step(item.path, number, total, done, media.frame_count))
                if self.stop:
                    break
        if item.target is not None and done:
            self.report.drawn.append(item.target)
        late = sorted(frame for frame in boxes or () if frame >= done)
        if late and not self.stop:
            _log.warning("%s: the boxes of frames %s match no frame", item.name, late[:5])

    def write_tables(self) -> None:
        """Write what there is so far."""
        if self.table is not None:
            self.table.write_parquet(self.report.parquet)
            self.table.write_json(self.report.json)


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


class _Photo:
    """A photo with the face of a :class:`VideoReader`."""

    fps: Fraction | None = None
    frame_count = 1

    def __init__(self, path: Path) -> None:
        self._frame = Frame(0, 0.0, read_image(path))
        self.height, self.width = self._frame.image.shape[:2]

    def __enter__(self) -> _Photo:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def __iter__(self) -> Iterator[Frame]:
        return iter((self._frame,))


def _open(path: Path) -> _Photo | VideoReader:
    return VideoReader(path) if path.suffix.lower() in VIDEO_SUFFIXES else _Photo(path)


def _table(source: Path, predictor: Predictor, media: _Photo | VideoReader | None) -> PoseTable:
    card = predictor.card
    return PoseTable(
        source.name or str(source),
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


def _drawn_names(sources: list[Path]) -> list[Path]:
    """Names of the drawn files, no two alike, even where case does not count."""
    names: list[Path] = []
    taken: set[str] = set()
    for source in sources:
        suffix = ".mp4" if source.suffix.lower() in VIDEO_SUFFIXES else ".png"
        stems = (source.stem, f"{source.stem}_{source.suffix[1:].lower()}")
        numbered = (f"{stems[1]}_{i}" for i in count(2))
        candidates = (source.with_name(f"{s}_pose{suffix}") for s in chain(stems, numbered))
        name = next(c for c in candidates if c.as_posix().casefold() not in taken)
        taken.add(name.as_posix().casefold())
        names.append(name)
    return names
