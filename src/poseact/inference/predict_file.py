"""Prediction of one photo or video, locally or in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from poseact.actions.action_table import ActionTable
from poseact.actions.answers import Segment, WindowReader
from poseact.data.pose_table import PoseTable
from poseact.inference.boxes import BoxesByFrame, boxes_inside
from poseact.inference.canvas import FileDrawing, FoundPeople
from poseact.inference.coco_results import CocoResults
from poseact.inference.inputs import Photo
from poseact.inference.loading import Readers
from poseact.inference.tracking import MAX_GAP_S
from poseact.media import Frame, VideoReader
from poseact.media.ahead import read_ahead

Stage = Literal["read", "draw"]
"""Videos with actions are read first and drawn afterwards, all others are drawn meanwhile."""


Watch = Callable[[Iterable[FoundPeople], Stage], Iterable[FoundPeople]]
"""Passes the frames of a stage on, and may end them early."""


@dataclass
class ResultTables:
    """The tables of one or more files.

    Attributes:
        poses: One row per joint, person and frame.
        actions: The windows and segments; None if the weights know no actions.
        coco: The same in COCO's layout; None if it is not wanted.
        frames: Frames read.
    """

    poses: PoseTable
    actions: ActionTable | None = None
    coco: CocoResults | None = None
    frames: int = 0


def predict_file(
    readers: Readers,
    media: Photo | VideoReader,
    name: str,
    tables: ResultTables,
    *,
    boxes: BoxesByFrame | None = None,
    drawing: FileDrawing | None = None,
    watch: Watch | None = None,
) -> int:
    """Predict one photo or video into tables.

    Args:
        readers: Read the poses and the actions.
        media: The open file.
        name: Name of the file in the tables.
        tables: Where rows are added, frame by frame.
        boxes: People's boxes by frame; None finds and follows people, whose actions are predicted
            too if the tables have actions.
        drawing: Draws the results; None for tables alone.
        watch: Passes on the frames, to show progress or to stop.

    Returns:
        Number of frames read.

    Raises:
        PoseActError: The file cannot be read or drawn, or all boxes lie outside of it.
    """
    before = tables.frames
    if boxes is not None:
        boxes = boxes_inside(boxes, name, media.width, media.height)
    watch = watch or _unwatched
    if tables.actions is not None and isinstance(media, VideoReader) and boxes is None:
        _predict_actions(readers, media, name, tables, tables.actions, drawing, watch)
        return tables.frames - before
    with closing(read_ahead(media)) as ahead:
        if isinstance(media, Photo) and boxes is None:
            # A photo is searched more closely than a frame of a video.
            image = readers.predictor.image
            people = ((one, image(one.image, None, one.index, one.time)) for one in ahead)
        else:
            people = readers.predictor.video(ahead, boxes, pictures=drawing is not None)
        frames = watch(people, "read")
        if drawing is not None:
            frames = drawing.draw(frames, media.fps)
        for found in frames:
            _add(tables, name, found)
    return tables.frames - before


def _predict_actions(
    readers: Readers,
    media: VideoReader,
    name: str,
    tables: ResultTables,
    actions: ActionTable,
    drawing: FileDrawing | None,
    watch: Watch,
) -> None:
    windows: dict[int, WindowReader] = {}
    segments: dict[int, list[Segment]] = {}

    def finish(people: Iterable[int]) -> None:
        for person in people:
            own = windows.pop(person)
            segments[person] = actions.append(name, own.finish(), own.end, person)

    def followed(frames: Iterable[Frame]) -> Iterator[FoundPeople]:
        for frame, seen in readers.predictor.readings(frames, pictures=False):
            # So memory does not grow with the number of people.
            finish([one for one, own in windows.items() if frame.time - own.last > MAX_GAP_S])
            for reading in seen:
                person = reading.pose.person
                if not reading.pose.confidence.any():  # interpolated
                    continue
                if person not in windows:
                    windows[person] = WindowReader(actions.network, name)
                windows[person].add(frame.time, reading)
            yield frame, [reading.pose for reading in seen]

    people = []
    with closing(read_ahead(media)) as ahead:
        for found in watch(followed(ahead), "read"):
            _add(tables, name, found)
            if drawing is not None:
                people.append(found[1])
    finish(list(windows))
    if drawing is None or not people:
        return
    again = ((frame, poses) for poses, frame in zip(people, media, strict=False))
    labels = actions.network.config.labels
    drawing.draw_actions(watch(again, "draw"), media.fps, segments, labels)


def _unwatched(frames: Iterable[FoundPeople], _stage: Stage) -> Iterable[FoundPeople]:
    return frames


def _add(tables: ResultTables, name: str, found: FoundPeople) -> None:
    for pose in found[1]:
        tables.poses.append(pose, name)
    if tables.coco is not None:
        tables.coco.add(name, *found)
    tables.frames += 1


def empty_tables(
    source: str, readers: Readers, media: Photo | VideoReader | None, coco: bool = False
) -> ResultTables:
    """Tables without rows.

    Args:
        source: Name of the file or folder.
        readers: Give the rows.
        media: The one file that is read, for its size and frame rate; None for several files.
        coco: Whether the results are wanted in COCO's layout too.
    """
    predictor, network = readers
    card = predictor.card
    poses = PoseTable(
        source,
        predictor.skeleton,
        fps=media.fps if media else None,
        width=media.width if media else None,
        height=media.height if media else None,
        depth_unit=predictor.depth_unit,
        model={"preset": card.preset, "licence": card.licence, "provenance": card.provenance},
    )
    actions = None if network is None else ActionTable(network)
    return ResultTables(poses, actions, CocoResults(predictor.skeleton) if coco else None)
