"""The main job: poses from a photo, a folder or a video, drawn and as tables."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from importlib.resources import as_file, files
from itertools import chain, count
from pathlib import Path

import numpy as np

from poseact.draw import draw_box, draw_pose, draw_side_view
from poseact.errors import PoseActError
from poseact.files import unwritable
from poseact.inference.predictor import DEFAULT_WEIGHTS, Box, Predictor, window_of
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

_BOX_COLUMNS = ("source", "frame", "x0", "y0", "x1", "y1")

_TRUNK_MM = 500.0
_SIDE_VIEW_MM = 2000.0
_MIN_SIDE_VIEW_PX = 32

BoxesByFrame = dict[int, list[Box]]

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
        boxes: CSV file with the people's boxes, see :func:`read_boxes`; by default one person is
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
    paths = find_media(source, leave_out=out)
    root = source if source.is_dir() else source.parent
    names = [path.relative_to(root) for path in paths]
    targets = {name: out / drawn for name, drawn in _drawn_names(names).items()} if draw else {}
    _require_free(targets.values(), paths)
    all_boxes = None if boxes is None else read_boxes(boxes)
    for unknown in set(all_boxes or ()) - {name.as_posix() for name in names}:
        raise PoseActError(
            f"The boxes in {boxes} are for {unknown!r}, which is not among the {len(paths)} files "
            f"of {source}; name files relative to it."
        )
    predictor = Predictor(weights, num_blocks, device)
    if side_view and not predictor.has_depth:
        raise PoseActError(
            f"A side view was asked for, but the weights {weights} are 2D; leave it out."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    report = PredictReport(out, out / "poses.parquet", out / "poses.json")
    table: PoseTable | None = None
    with StopRequest() as stop:
        for number, (path, name) in enumerate(zip(paths, names, strict=True), 1):
            try:
                media = _open(path)
                if table is None:
                    table = _table(source, predictor, media if len(paths) == 1 else None)
                job = _Job(predictor, table, name.as_posix(), targets.get(name), side_view)
                wanted = None if all_boxes is None else all_boxes.get(name.as_posix(), {})
                step = partial(Step, path, number, len(paths), frames=media.frame_count)
                job.run(media, wanted, partial(_advance, report, stop, on_step, step))
                report.drawn += job.drawn
            except PoseActError as error:
                report.failed[path] = str(error)
            if stop:
                report.interrupted = True
                break
        if table is None:
            raise PoseActError("; ".join(report.failed.values()) or "Interrupted; run it again.")
        table.write_parquet(report.parquet)
        table.write_json(report.json)
    return report


def _advance(
    report: PredictReport,
    stop: StopRequest,
    on_step: OnStep | None,
    step: Callable[..., Step],
    done: int,
) -> bool:
    """Count and tell a frame; says whether the job goes on."""
    report.frames += 1
    if on_step is not None:
        on_step(step(frame=done))
    return not stop


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


def read_boxes(path: str | Path) -> dict[str, BoxesByFrame]:
    """Read people's boxes from a CSV file.

    The columns ``source, frame, x0, y0, x1, y1`` hold the file relative to the folder that is
    predicted, the frame number from 0 (0 for a photo) and the box in px; several rows of one frame
    are several people.

    Returns:
        Boxes by source and frame.

    Raises:
        PoseActError: The file is missing, lacks a column or holds something else than numbers.
    """
    found: dict[str, BoxesByFrame] = {}
    line = 1
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _BOX_COLUMNS if name not in (reader.fieldnames or ())]
            for row in () if missing else reader:
                line = reader.line_num
                source, frame, box = _box_of(row)
                found.setdefault(source, {}).setdefault(frame, []).append(box)
    except OSError as error:
        raise PoseActError(
            f"The boxes in {path} could not be read ({error.strerror}); check the path."
        ) from error
    except (ValueError, TypeError, csv.Error, PoseActError) as error:
        raise PoseActError(
            f"Line {line} of the boxes in {path} is not a box ({error}); "
            "give whole numbers for frame and numbers in px for x0, y0, x1, y1."
        ) from error
    if missing:
        raise PoseActError(
            f"The boxes in {path} lack the columns {', '.join(missing)}; "
            f"give a CSV file with the columns {', '.join(_BOX_COLUMNS)}."
        )
    return found


def _box_of(row: dict[str, str]) -> tuple[str, int, Box]:
    frame = int(row["frame"])
    if frame < 0:
        raise ValueError(f"frame {frame} is before the first, 0")
    x0, y0, x1, y1 = (float(row[name]) for name in _BOX_COLUMNS[2:])
    window_of((x0, y0, x1, y1))
    return row["source"], frame, (x0, y0, x1, y1)


class _Photo:
    """A photo with the face of a :class:`VideoReader`."""

    fps: Fraction | None = None
    frame_count = 1

    def __init__(self, path: Path) -> None:
        self.path = path
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


@dataclass
class _Job:
    """The prediction of one file."""

    predictor: Predictor
    table: PoseTable
    name: str
    target: Path | None
    side_view: bool
    drawn: list[Path] = field(default_factory=list)

    def run(
        self,
        media: _Photo | VideoReader,
        boxes: BoxesByFrame | None,
        proceed: Callable[[int], bool],
    ) -> None:
        """Predict frame by frame.

        Args:
            media: The opened file.
            boxes: Boxes by frame, None to search.
            proceed: Called with the number of frames that are done; False ends the job early, and
                keeps what was done, drawn video included.
        """
        done = 0
        writer: VideoWriter | None = None
        with media, ExitStack() as stack:
            for frame, poses in self.predictor.video(media, boxes):
                if self.target is not None:
                    drawn = draw_people(frame.image, poses, self.predictor, self.side_view)
                    if media.fps is None:
                        write_image(self.target, drawn)
                    else:
                        # Not before there is a frame: a video without any is an error.
                        writer = writer or stack.enter_context(
                            VideoWriter(self.target, media.fps, media.width, media.height)
                        )
                        writer.write(drawn, frame.time)
                for pose in poses:
                    self.table.append(pose, self.name)
                done += 1
                if not proceed(done):
                    break
            else:
                late = sorted(number for number in boxes or () if number >= done)
                if late:
                    _log.warning("%s: the boxes of frames %s match no frame", self.name, late[:5])
        if self.target is not None and done:
            self.drawn.append(self.target)


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
        scale = px_per_mm(poses[0].joints, predictor.skeleton)
        joints_mm = poses[0].joints / (scale, scale, 1)
        image = image.copy()
        image[:size, -size:] = draw_side_view(
            joints_mm, predictor.skeleton, size, extent=_SIDE_VIEW_MM
        )
    return image


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


def _drawn_names(sources: list[Path]) -> dict[Path, Path]:
    """Names of the drawn files, no two alike, even where case does not count."""
    names: dict[Path, Path] = {}
    taken: set[str] = set()
    for source in sources:
        suffix = ".mp4" if source.suffix.lower() in VIDEO_SUFFIXES else ".png"
        stems = (source.stem, f"{source.stem}_{source.suffix[1:].lower()}")
        numbered = (f"{stems[1]}_{i}" for i in count(2))
        candidates = (source.with_name(f"{s}_pose{suffix}") for s in chain(stems, numbered))
        name = next(c for c in candidates if c.as_posix().casefold() not in taken)
        taken.add(name.as_posix().casefold())
        names[source] = name
    return names


def _require_free(targets: Iterable[Path], inputs: list[Path]) -> None:
    """Check that no result takes the place of an input."""
    originals = {path.resolve() for path in inputs}
    for target in targets:
        if target.resolve() in originals:
            raise PoseActError(
                f"The result {target} would replace a picture or video that is to be read; "
                "give another folder by --out."
            )
