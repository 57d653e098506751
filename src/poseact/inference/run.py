"""The main job: poses from a photo, a folder or a video, drawn and as tables."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from poseact.draw import draw_pose, draw_side_view
from poseact.errors import PoseActError
from poseact.inference.predictor import DEFAULT_WEIGHTS, Box, Predictor
from poseact.inference.results import FramePose, PoseTable
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

BoxesByFrame = dict[int, list[Box]]
OnFrame = Callable[[Path, int, int | None], None]
"""Called after every frame with its file, the frames of it done and their number if known."""


@dataclass
class PredictReport:
    """Where the results of a prediction lie.

    Attributes:
        out: The folder.
        drawn: Pictures and videos with the skeletons drawn.
        parquet: The table, see :data:`poseact.inference.results.COLUMNS`.
        json: The same as JSON.
        frames: Frames read.
        failed: Files that could not be read, with the reason.
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
    on_frame: OnFrame | None = None,
) -> PredictReport:
    """Predict the poses in a photo, a folder of photos and videos, or a video.

    Writes ``poses.parquet``, ``poses.json`` and, beside them, every photo and video with the
    skeletons drawn, ``NAME_pose.png`` and ``NAME_pose.mp4``. A file that cannot be read does not
    stop the others. When interrupted from the keyboard, what has been computed is written.

    Args:
        source: File or folder; the pictures and videos of a folder are found at any depth.
        out: Folder for the results.
        weights: Name of shipped weights, or a checkpoint file.
        boxes: CSV file with the people's boxes, see :func:`read_boxes`; by default one person is
            searched for and followed.
        num_blocks: Stop after this many prediction blocks.
        device: Where to run; by default CUDA where there is one.
        draw: Write the drawn pictures and videos.
        side_view: Add the skeleton as seen from the side, for 3D weights.
        on_frame: Called after every frame.

    Raises:
        PoseActError: Nothing could be read, or the results cannot be written.
    """
    source, out = Path(source), Path(out)
    paths = find_media(source)
    predictor = Predictor(weights, num_blocks, device)
    if side_view and not predictor.has_depth:
        raise PoseActError(
            f"A side view was asked for, but the weights {weights} are 2D; leave it out."
        )
    all_boxes = None if boxes is None else read_boxes(boxes)
    root = source if source.is_dir() else source.parent
    report = PredictReport(out, out / "poses.parquet", out / "poses.json")
    names = _drawn_names([path.relative_to(root) for path in paths])
    table: PoseTable | None = None
    for path in paths:
        name = path.relative_to(root)
        wanted = None if all_boxes is None else all_boxes.get(name.as_posix(), {})
        try:
            media = _Photo(path) if path.suffix.lower() not in VIDEO_SUFFIXES else VideoReader(path)
        except PoseActError as error:
            report.failed[path] = str(error)
            continue
        if table is None:
            table = _table(source, predictor, media if len(paths) == 1 else None)
        target = out / names[name] if draw else None
        with media:
            report.interrupted = _predict_file(
                media, predictor, wanted, table, name, target, side_view, report, on_frame
            )
        if report.interrupted:
            break
    if table is None:
        raise PoseActError("; ".join(report.failed.values()))
    table.write_parquet(report.parquet)
    table.write_json(report.json)
    return report


def demo(out: str | Path = "poseact-demo", on_frame: OnFrame | None = None) -> PredictReport:
    """Predict the poses in the short clip that ships with the package; no network is needed.

    Args:
        out: Folder for the results.
        on_frame: Called after every frame.

    Raises:
        PoseActError: The results cannot be written.
    """
    with as_file(files("poseact.assets") / "demo.mp4") as clip:
        return predict(clip, out, on_frame=on_frame)


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
    columns = ("source", "frame", "x0", "y0", "x1", "y1")
    found: dict[str, BoxesByFrame] = {}
    line = 1
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise PoseActError(
                    f"The boxes in {path} lack the columns {', '.join(missing)}; "
                    f"give a CSV file with the columns {', '.join(columns)}."
                )
            for row in reader:
                line = reader.line_num
                x0, y0, x1, y1 = (float(row[name]) for name in columns[2:])
                by_frame = found.setdefault(row["source"], {})
                by_frame.setdefault(int(row["frame"]), []).append((x0, y0, x1, y1))
    except OSError as error:
        raise PoseActError(
            f"The boxes in {path} could not be read ({error.strerror}); check the path."
        ) from error
    except (ValueError, TypeError) as error:
        raise PoseActError(
            f"Line {line} of the boxes in {path} is not a box ({error}); "
            "give whole numbers for frame and numbers in px for x0, y0, x1, y1."
        ) from error
    return found


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

    def __iter__(self):
        return iter((self._frame,))


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


def _predict_file(
    media: _Photo | VideoReader,
    predictor: Predictor,
    boxes: BoxesByFrame | None,
    table: PoseTable,
    name: Path,
    target: Path | None,
    side_view: bool,
    report: PredictReport,
    on_frame: OnFrame | None,
) -> bool:
    """Predict one file; says whether it was interrupted."""
    still = isinstance(media, _Photo)
    writer = (
        VideoWriter(target, media.fps, media.width, media.height)
        if target is not None and media.fps is not None
        else None
    )
    interrupted = False
    with writer or nullcontext():
        try:
            for frame, poses in predictor.video(media, boxes):
                for pose in poses:
                    table.append(pose, name.as_posix())
                if target is not None:
                    drawn = draw_people(frame.image, poses, predictor, side_view)
                    if writer is None:
                        write_image(target, drawn)
                    else:
                        writer.write(drawn, frame.time)
                report.frames += 1
                if on_frame is not None:
                    on_frame(media.path, frame.index + 1, 1 if still else media.frame_count)
        except KeyboardInterrupt:
            interrupted = True
    if target is not None and target.exists():
        report.drawn.append(target)
    return interrupted


def draw_people(
    image: np.ndarray, poses: list[FramePose], predictor: Predictor, side_view: bool = False
) -> np.ndarray:
    """Draw every pose into a copy of the picture.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        poses: Poses in px of it.
        predictor: Names joints and limbs.
        side_view: Put the first person's side view into the upper right corner.
    """
    for pose in poses:
        image = draw_pose(image, pose.joints[:, :2], pose.confidence, predictor.skeleton)
    if side_view and poses:
        size = min(image.shape[:2]) // 3
        joints = poses[0].joints * (1, 1, px_per_mm(poses[0].joints, predictor.skeleton))
        inset = draw_side_view(joints, predictor.skeleton, size)
        image = image.copy()
        image[:size, -size:] = inset
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
    return float(np.hypot(across[0], across[1])) / in_plane_mm


def _drawn_names(sources: list[Path]) -> dict[Path, Path]:
    """Names of the drawn files; where two would collide, the suffix becomes part of the name."""
    names: dict[Path, Path] = {}
    for source in sources:
        suffix = ".mp4" if source.suffix.lower() in VIDEO_SUFFIXES else ".png"
        name = source.with_name(f"{source.stem}_pose{suffix}")
        if name in names.values():
            name = source.with_name(f"{source.stem}_{source.suffix[1:].lower()}_pose{suffix}")
        names[source] = name
    return names
