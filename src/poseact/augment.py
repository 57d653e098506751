"""From a labelled photo to a network input: one affine map for image and joints, then colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from poseact.crop import (
    DEPTH_RANGE_MM,
    crop_matrix,
    person_window,
    transform_points,
    warp_image,
)
from poseact.data.sample import PoseSample
from poseact.errors import PoseActError
from poseact.skeleton import Skeleton


@dataclass(frozen=True)
class AugmentRanges:
    """Ranges of the random changes; every one is drawn anew for each sample.

    Rotation, scale, power and flip follow the CVPR'18 training on MPII; translation, brightness
    and occlusion are added here, against learning a small data set by heart.

    Raises:
        PoseActError: A range is reversed or out of bounds.
    """

    rotation_deg: float = 40.0
    """Largest rotation either way."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Factor on the side of the crop window; above 1 the person looks smaller."""
    translation: float = 0.08
    """Largest shift either way along each axis, as a fraction of the window's side."""
    flip: float = 0.5
    """Probability of mirroring."""
    power: tuple[float, float] = (0.9, 1.1)
    """Exponent of each colour channel on its own."""
    brightness: tuple[float, float] = (0.75, 1.25)
    """Factor on all channels."""
    wide: float = 0.15
    """Probability that the window is much larger than the person, who stands anywhere in it, as
    when a whole picture is searched."""
    wide_scale: tuple[float, float] = (1.3, 3.0)
    """Factor on the side of such a window."""
    beside: float = 0.06
    """Probability that the window is moved beside the person, where no joint or few are seen, so
    that the confidence learns what emptiness looks like."""
    occlusion: float = 0.3
    """Probability that one rectangle of one colour is painted over the crop."""
    occlusion_side: tuple[float, float] = (0.1, 0.35)
    """Its sides as fractions of the crop."""

    def __post_init__(self) -> None:
        for name in ("scale", "wide_scale", "power", "brightness", "occlusion_side"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise PoseActError(
                    f"{name}=({low}, {high}) was given; give two positive numbers, lowest first."
                )
        for name in ("flip", "occlusion", "beside", "wide"):
            if not 0 <= getattr(self, name) <= 1:
                raise PoseActError(
                    f"{name}={getattr(self, name)} was given; give a probability from 0 to 1."
                )


class Crop(NamedTuple):
    """A network input and its labels.

    Attributes:
        image: ``(S, S, 3)`` RGB uint8.
        joints: ``(J, 3)`` float32; x and y in [0, 1] of the crop, z in [0, 1] with 0.5 at the root.
        valid: ``(J,)`` boolean; labelled and strictly inside the crop.
        known: ``(J,)`` boolean; labelled, so that being inside or outside is known.
        depth_valid: ``(J,)`` boolean; valid and with a labelled depth.
        matrix: ``(3, 3)`` map from image px to the crop's [0, 1].
    """

    image: np.ndarray
    joints: np.ndarray
    valid: np.ndarray
    known: np.ndarray
    depth_valid: np.ndarray
    matrix: np.ndarray


def make_crop(
    image: np.ndarray,
    sample: PoseSample,
    skeleton: Skeleton,
    matrix: np.ndarray,
    size: int,
) -> Crop:
    """Cut a labelled crop; a mirroring matrix also swaps left and right joints.

    Args:
        image: ``(H, W, 3)`` RGB uint8, the sample's.
        sample: Labels in this skeleton.
        skeleton: Tells the mirror pairs.
        matrix: ``(3, 3)`` map from image px to [0, 1] of the crop.
        size: Side of the crop in px.
    """
    joints = np.full((len(skeleton), 3), 0.5, np.float32)
    joints[:, :2] = transform_points(matrix, sample.joints[:, :2])
    if sample.joints.shape[1] == 3:
        joints[:, 2] += sample.joints[:, 2] / DEPTH_RANGE_MM
    known, depth_valid = sample.valid, sample.depth_valid
    if np.linalg.det(matrix) < 0:
        mirror = list(skeleton.flip_indices)
        joints, known, depth_valid = joints[mirror], known[mirror], depth_valid[mirror]
    valid = known & ((joints[:, :2] > 0) & (joints[:, :2] < 1)).all(1)
    return Crop(warp_image(image, matrix, size), joints, valid, known, depth_valid & valid, matrix)


def evaluation_crop(image: np.ndarray, sample: PoseSample, skeleton: Skeleton, size: int) -> Crop:
    """The upright crop around the person that evaluation uses; arguments as `make_crop`'s."""
    return make_crop(image, sample, skeleton, crop_matrix(person_window(sample.box)), size)


def augmented_crop(
    image: np.ndarray,
    sample: PoseSample,
    skeleton: Skeleton,
    size: int,
    *,
    ranges: AugmentRanges,
    rng: np.random.Generator,
) -> Crop:
    """A crop around the person with random geometry and colour; arguments as `make_crop`'s."""
    centre_x, centre_y, person_side = person_window(sample.box)
    wide = rng.random() < ranges.wide
    low, high = ranges.wide_scale if wide else ranges.scale
    side = person_side * np.exp(rng.uniform(np.log(low), np.log(high)))
    reach = (side - person_side) / 2 if wide else ranges.translation * side
    shift_x, shift_y = rng.uniform(-reach, reach, 2)
    if rng.random() < ranges.beside:
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.2) * side
        shift_x, shift_y = distance * np.cos(angle), distance * np.sin(angle)
    matrix = crop_matrix(
        (centre_x + shift_x, centre_y + shift_y, side),
        rng.uniform(-ranges.rotation_deg, ranges.rotation_deg),
        rng.random() < ranges.flip,
    )
    crop = make_crop(image, sample, skeleton, matrix, size)
    return crop._replace(image=_occlude(_recolour(crop.image, ranges, rng), ranges, rng))


def _recolour(image: np.ndarray, ranges: AugmentRanges, rng: np.random.Generator) -> np.ndarray:
    powers = rng.uniform(*ranges.power, 3)
    levels = np.linspace(0, 1, 256)[:, None] ** powers * rng.uniform(*ranges.brightness)
    table = np.rint(255 * levels.clip(0, 1)).astype(np.uint8)
    return cv2.LUT(image, table[:, None])


def _occlude(image: np.ndarray, ranges: AugmentRanges, rng: np.random.Generator) -> np.ndarray:
    if rng.random() >= ranges.occlusion:
        return image
    size = image.shape[0]
    width, height = (rng.uniform(*ranges.occlusion_side, 2) * size).astype(int)
    x, y = rng.integers(0, (size - width + 1, size - height + 1))
    image[y : y + height, x : x + width] = rng.integers(0, 256, 3)
    return image
