"""Renders a synthetic data set in shards, reproducibly by its parameters."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import cv2
import numpy as np

from poseact._utils.errors import PoseActError
from poseact._utils.worker_pool import check_workers
from poseact.data.packed.shard_writer import (
    Item,
    OnItems,
    ShardPlan,
    ShardReport,
    claim_folder,
    write_shards,
)
from poseact.media import find_media
from poseact.synthetic.families import Part
from poseact.synthetic.joints import SYNTHETIC
from poseact.synthetic.random_person import Frame, draw_sequence

VERSION = 2
"""Of what the generator draws: a change of it changes every picture."""


@dataclass(frozen=True)
class SyntheticSpec:
    """Parameters of a data set; equal parameters give equal bytes.

    Attributes:
        count: Number of pictures.
        seed: Random seed.
        part: ``train`` or ``validation``; they share no body, motion or camera distance.
        size: Longest side of the pictures in px.
        shard_size: Pictures per file.
        clip_length: Frames of one motion with one body and camera in a row.
        backgrounds: Digest of the photos for the background, None for none.
    """

    count: int
    seed: int = 0
    part: Part = "train"
    size: int = 224
    shard_size: int = 500
    clip_length: int = 1
    backgrounds: str | None = None

    def __post_init__(self) -> None:
        if self.part not in get_args(Part):
            raise PoseActError(
                f"The part {self.part!r} was asked for; give one of {', '.join(get_args(Part))}."
            )
        limits = {
            "count": (1, 10**9),
            "seed": (0, 2**63 - 1),
            "size": (64, 4096),
            "clip_length": (1, 10**9),
            "shard_size": (self.clip_length, 10**9),
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise PoseActError(
                    f"{name} is {getattr(self, name)}; give a number from {least} to {most}."
                )

    def plan(self) -> ShardPlan:
        """Assignment of pictures to shards, which does not divide clips."""
        step = self.shard_size // self.clip_length * self.clip_length
        return ShardPlan(self.count, step, self.part + "-{:05d}.tar")


def make_synthetic(
    out: str | Path,
    *,
    count: int,
    seed: int = 0,
    part: str = "train",
    size: int = 224,
    shard_size: int = 500,
    clip_length: int = 1,
    backgrounds: str | Path | None = None,
    workers: int = 1,
    on_images: OnItems | None = None,
) -> ShardReport:
    """Render pictures of posed people with exact labels, in shards (uncompressed tar files).

    A shard appears when it is complete and depends only on the parameters and its own number, so
    the same call completes a run that was stopped, with the same bytes for any number of workers.

    Args:
        out: Folder of the data set; an incomplete one is completed.
        count: Number of pictures.
        seed: Random seed.
        part: ``train`` or ``validation``; they share no body, motion or camera distance.
        size: Longest side of the pictures in px.
        shard_size: Pictures per shard.
        clip_length: Number of successive frames of one body, motion and camera.
        backgrounds: Folder of photos without people, used as backgrounds.
        workers: Number of processes.
        on_images: Called as pictures are done.

    Raises:
        PoseActError: A parameter is out of range, the folder holds a data set of other parameters,
            or it cannot be written.
    """
    check_workers(workers)
    photos = tuple(find_media(Path(backgrounds))) if backgrounds is not None else ()
    spec = SyntheticSpec(
        count, seed, cast(Part, part), size, shard_size, clip_length, _digest(photos)
    )
    out = Path(out)
    index = {
        "generator": "poseact make-synthetic",
        "version": VERSION,
        "opencv": cv2.__version__.split(".")[0],
        "skeleton": list(SYNTHETIC.joints),
        **asdict(spec),
    }
    claim_folder(out, index)
    make_items = partial(_pictures, spec, photos)
    return write_shards(out, spec.plan(), make_items, workers=workers, on_items=on_images)


def _pictures(spec: SyntheticSpec, photos: tuple[Path, ...], shard: int) -> Iterator[Item]:
    """JPEG and labels of the pictures of a shard."""
    numbers = spec.plan().items(shard)
    length = spec.clip_length
    for sequence in range(numbers.start // length, -(-numbers.stop // length)):
        # Each sequence has its own random generator, so shards can be made in any order.
        rng = np.random.default_rng([spec.seed, get_args(Part).index(spec.part), sequence])
        quality = int(rng.integers(60, 96))
        frames = draw_sequence(rng, spec.part, length, spec.size, photos)
        for frame, picture in enumerate(frames):
            number = sequence * length + frame
            if number not in numbers:
                return
            encoded = cv2.imencode(
                ".jpg", picture.rgb[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality)
            )[1]
            labels = _labels(picture) | {
                "sequence": f"{spec.part}-{spec.seed}-{sequence:06d}",
                "frame": frame,
            }
            yield number, {"jpg": encoded.tobytes(), "json": json.dumps(labels).encode()}


def _labels(picture: Frame) -> dict[str, Any]:
    """Labels written as JSON beside a picture, see ``docs/synthetic.md``."""
    camera = picture.camera
    height, width = picture.rgb.shape[:2]
    return {
        "joints_px": np.round(picture.joints, 2).tolist(),
        "depth_mm": np.round(picture.depth_mm, 1).tolist(),
        "visible": picture.visible.tolist(),
        "root_depth_mm": round(picture.root_depth_mm, 1),
        "focal_px": [round(value, 3) for value in camera.focal],
        "centre_px": list(camera.centre),
        "size_px": [width, height],
        "box_px": list(picture.box),
        "area_px": picture.area,
        "body": picture.body,
        "motion": picture.motion,
    }


def _digest(photos: tuple[Path, ...]) -> str | None:
    """Digest of names and contents of photos."""
    if not photos:
        return None
    total = hashlib.sha256()
    for photo in photos:
        total.update(photo.name.encode() + hashlib.sha256(photo.read_bytes()).digest())
    return total.hexdigest()[:16]
