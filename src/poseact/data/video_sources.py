"""Action data sets by name, read as videos or as single frames."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pydantic import PositiveInt

from poseact.data.jhmdb import read_jhmdb
from poseact.data.ntu import read_ntu_videos
from poseact.data.packed.shards import read_packed, read_packed_videos
from poseact.data.penn_action import read_penn_action
from poseact.data.sample import PoseSample
from poseact.data.video import LabelledVideo
from poseact.skeleton import PA16, Skeleton


class VideoAdapter(Protocol):
    """Reads an action data set into videos; a reader's keywords are its options."""

    def __call__(self, root: Path, skeleton: Skeleton = PA16) -> list[LabelledVideo]: ...


VIDEO_ADAPTERS: dict[str, VideoAdapter] = {
    "penn-action": read_penn_action,
    "ntu": read_ntu_videos,
    "jhmdb": read_jhmdb,
    "packed-videos": read_packed_videos,
}


def stills_reader(read_videos: VideoAdapter) -> Callable[..., list[PoseSample]]:
    """A reader of single frames, for the pose data sets of a recipe.

    It has the options of the reader of videos and ``every``: frames ``every``, ``2 * every`` … of
    each video are read, counted from 1. Frames in which no joint has a label are left out. All
    labels are read at once; where they are many, pack the frames first.
    """

    def read(
        root: Path, skeleton: Skeleton = PA16, *, every: PositiveInt = 1, **options: Any
    ) -> list[PoseSample]:
        return [
            sample
            for video in read_videos(root, skeleton, **options)
            for sample in video.samples(range(every - 1, len(video), every))
            if sample.valid.any()
        ]

    # The options of a recipe are checked by the signature.
    of_videos = inspect.signature(read_videos, eval_str=True)
    every = inspect.signature(read, eval_str=True).parameters["every"]
    parameters = [*of_videos.parameters.values(), every]
    vars(read)["__signature__"] = of_videos.replace(parameters=parameters)
    return read


STILL_ADAPTERS: dict[str, Callable[..., list[PoseSample]]] = {
    **{name: stills_reader(read) for name, read in VIDEO_ADAPTERS.items()},
    "packed": read_packed,
}
"""The same data sets frame by frame, under the same names, and packed stills."""
