"""Shard members of a still image or a video: picture files and labels."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import NamedTuple

import cv2
import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.images import ImageFile, ImageSource
from poseact.data.packed.shards import STILL_FACTS, VIDEO_FACTS
from poseact.data.sample import PoseSample
from poseact.data.video import FrameImages, FrameSource, FrameVideo, LabelledVideo, VideoFrame
from poseact.media import decode_image
from poseact.media.image import picture_content

_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)

Members = dict[str, bytes]
"""Contents by what follows the item's number in the member's name."""


def members_of_items(
    items: Sequence[PoseSample] | Sequence[LabelledVideo],
) -> Iterator[Members | PoseActError]:
    """The members of each still or video of a shard, or why it cannot be packed."""
    for film, group in groupby(items, _film):
        if film is None:
            yield from (_members_of(item) for item in group)
        else:
            yield from _film_members(film, [item for item in group if isinstance(item, PoseSample)])


def _film(item: PoseSample | LabelledVideo) -> FrameVideo | None:
    """The video file of a still; stills of one video are decoded together."""
    image = None if isinstance(item, LabelledVideo) else item.image
    video = image.video if isinstance(image, VideoFrame) else None
    return video if isinstance(video, FrameVideo) else None


def _members_of(item: PoseSample | LabelledVideo) -> Members | PoseActError:
    try:
        if isinstance(item, LabelledVideo):
            return _video_members(item)
        return _still_members(item, _stored(item.image))
    except PoseActError as error:
        return error


def _film_members(
    film: FrameVideo, samples: Sequence[PoseSample]
) -> Iterator[Members | PoseActError]:
    numbers = [sample.image.number for sample in samples if isinstance(sample.image, VideoFrame)]
    try:
        found = {number: _jpeg(image) for number, image in film.existing(numbers)}
    except PoseActError as error:
        yield from (error for _ in samples)
        return
    for sample, number in zip(samples, numbers, strict=True):
        if number in found:
            yield _still_members(sample, found[number])
        else:
            yield film.lacks(number)


class _Picture(NamedTuple):
    """Content of a picture file, and its suffix without the dot."""

    suffix: str
    content: bytes


def _stored(image: ImageSource) -> _Picture:
    """A picture as it is stored; JPEG if it has no file of its own."""
    if isinstance(image, VideoFrame) and isinstance(image.video, FrameImages):
        return _stored(image.video.images[image.number])
    if not isinstance(image, ImageFile):
        return _jpeg(image.read())
    content = picture_content(image.path)
    # Otherwise a file that is not a picture would only be noticed in training.
    decode_image(content, f"file {image}")
    return _Picture(image.path.suffix[1:].lower(), content)


def _jpeg(rgb: np.ndarray) -> _Picture:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _JPEG)
    return _Picture("jpg", data.tobytes())


def _frames(video: FrameSource) -> list[bytes]:
    numbers = range(len(video))
    if not isinstance(video, FrameVideo):
        return [_stored(VideoFrame(video, number)).content for number in numbers]
    found = [_jpeg(image).content for _, image in video.existing(numbers)]
    if len(found) < len(video):
        raise video.lacks(len(found))
    return found


def _still_members(sample: PoseSample, picture: _Picture) -> Members:
    known = [(sample.skeleton.joints[place], place) for place in np.flatnonzero(sample.valid)]
    content = {
        "name": sample.name,
        "dims": sample.joints.shape[1],
        "joints": {joint: sample.joints[place].tolist() for joint, place in known},
        "hidden": [joint for joint, place in known if not sample.visible[place]],
        "no_depth": [joint for joint, place in known if not sample.depth_valid[place]],
        "box": sample.box,
        "camera": None if sample.camera is None else asdict(sample.camera),
        "window": sample.square,
        **{key: getattr(sample, key) for key in STILL_FACTS},
    }
    return {picture.suffix: picture.content, "json": json.dumps(content).encode()}


def _video_members(video: LabelledVideo) -> Members:
    poses = video.poses.load()
    pictures = _frames(video.frames)
    used = poses.valid.any(0)
    labels = io.BytesIO()
    np.savez_compressed(
        labels,
        joints=poses.joints[:, used],
        valid=poses.valid[:, used],
        visible=poses.visible[:, used],
        depth_valid=poses.depth_valid[:, used],
        boxes=poses.boxes,
    )
    content = {
        **{key: getattr(video, key) for key in VIDEO_FACTS},
        "joints": [video.skeleton.joints[place] for place in np.flatnonzero(used)],
        "sizes": [len(picture) for picture in pictures],
    }
    return {
        "frames": b"".join(pictures),
        "json": json.dumps(content).encode(),
        "npz": labels.getvalue(),
    }
