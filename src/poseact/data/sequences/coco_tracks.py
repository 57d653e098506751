"""Tracks of people in COCO's JSON (Lin et al., 2014): keypoints of one person over time."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.formats.label_files import read_json
from poseact.data.sequences.common import files_below, frame_times, only_known
from poseact.skeleton import COCO17, Skeleton

_WHAT = "a COCO file of tracks with images, annotations with track_id and keypoints, and categories"
_PERSON = "person"

# Above it, neighbouring numbers are the same as float64.
_MAX_FRAME = 2**53


class _Pose(NamedTuple):
    frame: int
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
    content = read_json(file, _WHAT)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) and content[key] for key in ("images", "annotations")
    ):
        raise PoseActError(f"{file} has no 'images' or no 'annotations'; give {_WHAT}.")
    with one_sentence(f"{file} is not {_WHAT} ({{error}}); correct it."):
        tracks = _tracks(file, content)
    flags = max(pose.points[:, 2].max() for poses in tracks.values() for pose in poses) > 1
    left, sequences = LeftOut(file, "tracks"), []
    for (video, track), poses in tracks.items():
        poses.sort(key=lambda pose: pose.frame)
        stretches = [list(stretch) for _, stretch in groupby(poses, lambda pose: pose.label)]
        for number, stretch in enumerate(stretches):
            name = f"{video}#{track}" + (f".{number}" if len(stretches) > 1 else "")
            with left.entry():
                place = f"{file}: track {name}"
                sequences.append(_sequence(place, name, video, stretch, fps, flags))
    left.finish(sequences)
    return sequences


def _sequence(
    place: str, name: str, video: str, poses: list[_Pose], fps: float, flags: bool
) -> PoseSequence:
    frames = [pose.frame for pose in poses]
    if len(set(frames)) < len(frames) or len({pose.skeleton for pose in poses}) > 1:
        raise PoseActError(
            f"{place} has two people in one frame, or two sets of keypoints; give each its own "
            "track_id."
        )
    points = np.stack([pose.points for pose in poses])
    joints, confidence = only_known(
        points[..., :2], points[..., 2] > 0 if flags else points[..., 2]
    )
    return PoseSequence(
        name=name,
        skeleton=poses[0].skeleton,
        times=frame_times(frames, fps),
        joints=joints,
        confidence=confidence,
        label=poses[0].label,
        recording=video,
    )


def _tracks(file: Path, content: dict[str, Any]) -> dict[tuple[str, Any], list[_Pose]]:
    frames = _frames(file, content["images"])
    categories: dict[int | str | None, dict[str, Any]] = {
        identity: category
        for category in content.get("categories") or []
        if (identity := _identity(category, "id")) is not None
    }
    tracks: dict[tuple[str, Any], list[_Pose]] = defaultdict(list)
    left = LeftOut(file, "annotations")
    for number, annotation in enumerate(content["annotations"]):
        place = f"{file}: annotation {number}"
        with left.entry(), one_sentence(f"{place} makes no sense ({{error}}); correct it."):
            image, track = _identity(annotation, "image_id"), _identity(annotation, "track_id")
            if image not in frames:
                raise PoseActError(
                    f"{place} is of no image of the file; give it an image_id of one."
                )
            if track is None:
                raise PoseActError(f"{place} has no track_id; give {_WHAT}.")
            video, frame = frames[image]
            category = categories.get(_identity(annotation, "category_id"), {})
            skeleton = _skeleton(category)
            points = _points(place, annotation, skeleton)
            pose = _Pose(frame, _label(annotation, category), points, skeleton)
            tracks[video, track].append(pose)
    left.finish(range(len(content["annotations"]) - left.count))
    return tracks


def _identity(entry: Any, key: str) -> int | str | None:
    """None if there is none of a type that identifies anything."""
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, int | str) else None


def _frames(file: Path, images: list[Any]) -> dict[Any, tuple[str, int]]:
    """Video, and number of the frame from the first of the video on, by the image's id.

    Data sets number frames across all their videos too, so the numbers alone say nothing of times.
    """
    frames: dict[Any, tuple[str, int]] = {}
    counts: dict[str, int] = defaultdict(int)
    first: dict[str, int] = {}
    left = LeftOut(file, "images")
    for number, image in enumerate(images):
        message = f"{file}: image {number} makes no sense ({{error}}); correct it."
        with left.entry(), one_sentence(message):
            identity, name = _identity(image, "id"), _identity(image, "file_name")
            if identity is None or name is None:
                raise PoseActError(
                    f"{file}: image {number} has no 'id' or no 'file_name'; give both for each "
                    "image."
                )
            folder = str(PurePosixPath(str(name)).parent)
            video = str(image.get("video_id", file.stem if folder == "." else folder))
            frame = image.get("frame_id", counts[video])
            if not isinstance(frame, int) or not 0 <= frame < _MAX_FRAME:
                raise PoseActError(
                    f"{file}: image {number} has the frame_id {frame!r}; give a number from 0."
                )
            frames[identity] = video, frame
            counts[video] += 1
            first[video] = min(first.get(video, frame), frame)
    left.finish(frames)
    return {image: (video, frame - first[video]) for image, (video, frame) in frames.items()}


def _label(annotation: dict[str, Any], category: dict[str, Any]) -> str | None:
    label = annotation.get("label", category.get("name"))
    return None if label in (None, _PERSON) else str(label)


def _skeleton(category: dict[str, Any]) -> Skeleton:
    names = tuple(
        str(name).strip().lower().replace(" ", "_") for name in category.get("keypoints") or ()
    )
    return COCO17 if names in ((), COCO17.joints) else Skeleton("coco-tracks", names)


def _points(place: str, annotation: dict[str, Any], skeleton: Skeleton) -> np.ndarray:
    try:
        points = np.array(annotation.get("keypoints"), np.float64).reshape(len(skeleton), 3)
    except (TypeError, ValueError) as error:
        raise PoseActError(
            f"{place} has no 'keypoints' of {3 * len(skeleton)} numbers: x, y and v of the "
            f"{len(skeleton)} of {skeleton.name}; correct it."
        ) from error
    return points
