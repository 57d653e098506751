"""Tracks of people in COCO's JSON (Lin et al., 2014): keypoints of one person over time."""

from collections import defaultdict
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.formats.coco_json import (
    Category,
    Id,
    Image,
    TrackAnnotation,
    read_lists,
    use_by_id,
    use_each,
)
from poseact.data.sequences.common import files_below, frame_times, zero_unknown
from poseact.skeleton import COCO17, Skeleton

_WHAT = "a COCO file of tracks with images, annotations with track_id and keypoints, and categories"
_PERSON = "person"


class _Pose(NamedTuple):
    video: str
    frame: int
    track: Id
    label: str | None
    points: np.ndarray  # (J, 3)
    skeleton: Skeleton


def read_coco_tracks(path: Path, *, fps: float = 30.0) -> list[PoseSequence]:
    """Read a JSON file.

    An image's ``video_id``, or else the folder in its ``file_name``, says which video it is of, and
    its ``frame_id``, or else its place among the video's images, which frame it is. An annotation
    has ``track_id``, ``keypoints`` (x, y and v of each) and, as its action, a text ``label``; else
    its category's name is the action, unless that is ``person``. A track whose label changes is cut
    there. Keypoints are named by the category, and are COCO's 17 where it names none. v is 0 for
    not labelled, 1 or 2 for labelled; in a file where it is never above 1 it is the confidence.

    Args:
        path: The file.
        fps: Frames per second, which the file does not give.

    Returns:
        One sequence for each stretch of a track, in the order of videos and tracks; the video is
        its recording. Times count from the video's first image. Images, annotations and tracks that
        cannot be used are left out with a warning.

    Raises:
        PoseActError: The file is missing, not JSON or of another layout, or nothing in it can be
            used; the message names the first annotation.
    """
    file, *more = files_below(path, (".json",), _WHAT).values()
    if more:
        raise PoseActError(f"{path} holds {1 + len(more)} JSON files; give one of them.")
    lists = read_lists(file, _WHAT)
    if not lists.images or not lists.annotations:
        raise PoseActError(f"{file} has no 'images' or no 'annotations'; give {_WHAT}.")
    read = partial(_pose, _frames(file, lists.images), _categories(file, lists.categories or []))
    poses = use_each(file, TrackAnnotation, lists.annotations, read)
    flags = max(pose.points[:, 2].max() for pose in poses) > 1
    tracks: dict[tuple[str, Id], list[_Pose]] = defaultdict(list)
    for pose in poses:
        tracks[pose.video, pose.track].append(pose)
    left, sequences = LeftOut(file, "tracks"), []
    for (video, track), found in tracks.items():
        found.sort(key=lambda pose: pose.frame)
        stretches = [list(stretch) for _, stretch in groupby(found, lambda pose: pose.label)]
        for number, stretch in enumerate(stretches):
            name = f"{video}#{track}" + (f".{number}" if len(stretches) > 1 else "")
            place = f"{file}: track {name}"
            with left.entry(), one_sentence(f"{place} cannot be used ({{error}}); correct it."):
                sequences.append(_sequence(place, name, stretch, fps, flags))
    left.finish(sequences)
    return sequences


def _sequence(place: str, name: str, poses: list[_Pose], fps: float, flags: bool) -> PoseSequence:
    frames = [pose.frame for pose in poses]
    if len(set(frames)) < len(frames) or len({pose.skeleton for pose in poses}) > 1:
        raise PoseActError(
            f"{place} has two people in one frame, or two sets of keypoints; give each its own "
            "track_id."
        )
    points = np.stack([pose.points for pose in poses])
    joints, confidence = zero_unknown(
        points[..., :2], points[..., 2] > 0 if flags else points[..., 2]
    )
    return PoseSequence(
        name=name,
        skeleton=poses[0].skeleton,
        times=frame_times(frames, fps),
        joints=joints,
        confidence=confidence,
        label=poses[0].label,
        recording=poses[0].video,
    )


def _frames(file: Path, entries: list[Any]) -> dict[Id, tuple[str, int]]:
    """Video, and number of the frame from the first of the video on, by the image's id.

    Data sets number frames across all their videos too, so the numbers alone say nothing of times.
    """
    numbered = any(isinstance(e, dict) and e.get("frame_id") is not None for e in entries)
    images = use_by_id(file, Image, entries, partial(_image, numbered))
    frames: dict[str, dict[Id, int]] = defaultdict(dict)
    for image in images.values():
        folder = str(PurePosixPath(image.file_name).parent)
        folder = file.stem if folder == "." else folder
        of_video = frames[str(folder if image.video_id is None else image.video_id)]
        of_video[image.id] = len(of_video) if image.frame_id is None else image.frame_id
    first = {video: min(of_video.values()) for video, of_video in frames.items()}
    return {
        identity: (video, frame - first[video])
        for video, of_video in frames.items()
        for identity, frame in of_video.items()
    }


def _image(numbered: bool, image: Image, _: str) -> Image:
    if numbered and image.frame_id is None:
        raise ValueError("it lacks the frame_id that others have")
    return image


def _categories(file: Path, entries: list[Any]) -> dict[Id | None, Category]:
    if not entries:
        return {}
    return use_by_id(file, Category, entries, lambda each, _: each)


def _pose(
    frames: dict[Id, tuple[str, int]],
    categories: dict[Id | None, Category],
    annotation: TrackAnnotation,
    place: str,
) -> _Pose:
    if annotation.image_id not in frames:
        raise PoseActError(f"{place} belongs to no image in the file; correct its image_id.")
    category = categories.get(annotation.category_id) or Category()
    joints, label = category.joints, annotation.label or category.name
    layout = COCO17 if joints in ((), COCO17.joints) else Skeleton("coco-tracks", joints)
    return _Pose(
        *frames[annotation.image_id],
        label=None if label == _PERSON else label,
        points=annotation.points(len(layout)),
        skeleton=layout,
        track=annotation.track_id,
    )
