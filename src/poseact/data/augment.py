"""Augmentation: one affine map for image and joints, then changes of colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.sample import PoseSample
from poseact.media.crop import (
    DEPTH_RANGE_MM,
    Square,
    crop_matrix,
    person_square,
    transform_points,
    warp_image,
)


@dataclass(frozen=True)
class AugmentRanges:
    """Ranges of the random changes, drawn once for each sample, and once for all frames of a clip.

    Rotation, scale, power and flip follow the CVPR'18 training on MPII; translation is that paper's
    for clips. Brightness, wide squares and squares beside the person are added here.

    Raises:
        PoseActError: A range is reversed or out of bounds.
    """

    rotation_deg: float = 40.0
    """Largest rotation either way."""
    scale: tuple[float, float] = (0.7, 1.3)
    """Factor on the side of the crop square; above 1 the person looks smaller."""
    translation: float = 0.08
    """Largest shift either way along each axis, as a fraction of the square's side."""
    flip: float = 0.5
    """Probability of mirroring."""
    power: tuple[float, float] = (0.9, 1.1)
    """Exponent of each colour channel on its own."""
    brightness: tuple[float, float] = (0.75, 1.25)
    """Factor on all channels."""
    wide: float = 0.15
    """Probability that the square is much larger than the person, who stands anywhere in it, as
    when a whole picture is searched."""
    wide_scale: tuple[float, float] = (1.3, 3.0)
    """Factor on the side of such a square."""
    beside: float = 0.06
    """Probability that the square is moved beside the person, where no joint or few are seen, so
    that the confidence learns what emptiness looks like."""
    occlusion: float = 0.3
    """Probability that one rectangle of one colour is painted over the crop."""
    occlusion_side: tuple[float, float] = (0.1, 0.35)
    """Its sides as fractions of the crop."""
    spin: float = 0.0
    """Probability of a rotation by any angle, for people upside down."""
    degrade: float = 0.0
    """Probability of each of: a low resolution, motion blur, strong JPEG compression."""

    def __post_init__(self) -> None:
        for name in ("scale", "wide_scale", "power", "brightness", "occlusion_side"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise PoseActError(
                    f"{name}=({low}, {high}) was given; give two positive numbers, lowest first."
                )
        if self.occlusion_side[1] > 1:
            raise PoseActError(
                f"occlusion_side={self.occlusion_side} was given; give fractions of the crop, "
                "at most 1."
            )
        for name in ("rotation_deg", "translation"):
            if getattr(self, name) < 0:
                raise PoseActError(f"{name}={getattr(self, name)} was given; give 0 or more.")
        for name in ("flip", "occlusion", "beside", "wide", "spin", "degrade"):
            if not 0 <= getattr(self, name) <= 1:
                raise PoseActError(
                    f"{name}={getattr(self, name)} was given; give a probability from 0 to 1."
                )

    def draw(self, rng: np.random.Generator) -> Augmentation:
        """Draw all random changes."""
        wide = rng.random() < self.wide
        low, high = self.wide_scale if wide else self.scale
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        reach = (scale - 1) / 2 if wide else self.translation * scale
        shift_x, shift_y = rng.uniform(-reach, reach, 2) if reach > 0 else (0.0, 0.0)
        if rng.random() < self.beside:
            angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.2) * scale
            shift_x, shift_y = distance * np.cos(angle), distance * np.sin(angle)
        augmentation = Augmentation(
            scale=scale,
            shift=(float(shift_x), float(shift_y)),
            rotation_deg=rng.uniform(-self.rotation_deg, self.rotation_deg),
            flip=bool(rng.random() < self.flip),
            powers=rng.uniform(*self.power, 3),
            brightness=rng.uniform(*self.brightness),
            occluder=self._occluder(rng),
        )
        if rng.random() < self.spin:
            augmentation = augmentation._replace(rotation_deg=rng.uniform(-180, 180))
        return augmentation._replace(damage=self._damage(rng))

    def _damage(self, rng: np.random.Generator) -> Damage:
        shrink, blur, quality = rng.uniform(0.15, 0.6), rng.integers(3, 10), rng.integers(8, 40)
        angle = rng.uniform(0, np.pi)
        chosen = rng.random(3) < self.degrade
        return Damage(
            float(shrink) if chosen[0] else None,
            (int(blur), float(angle)) if chosen[1] else None,
            int(quality) if chosen[2] else None,
        )

    def _occluder(self, rng: np.random.Generator) -> Occluder | None:
        if rng.random() >= self.occlusion:
            return None
        width, height = rng.uniform(*self.occlusion_side, 2)
        x, y = rng.uniform(0, (1 - width, 1 - height))
        red, green, blue = rng.integers(0, 256, 3).tolist()
        return Occluder((x, y, x + width, y + height), (red, green, blue))


class Occluder(NamedTuple):
    """A rectangle of one colour: x0, y0, x1, y1 in [0, 1] of the crop, and RGB."""

    box: tuple[float, float, float, float]
    colour: tuple[int, int, int]


class Damage(NamedTuple):
    """Degradation of a picture as by a poor camera; None leaves a part out.

    Attributes:
        shrink: Factor on the resolution.
        blur: Length in px of 128 and angle in radians of a movement.
        quality: Of JPEG, from 1 to 100.
    """

    shrink: float | None = None
    blur: tuple[int, float] | None = None
    quality: int | None = None


class Augmentation(NamedTuple):
    """The drawn values of all random changes.

    Attributes:
        scale: Factor on the side of the person's square.
        shift: Of the square along x and y, as fractions of the person's square.
        rotation_deg: Turns the content clockwise.
        flip: Mirrors the content.
        powers: ``(3,)`` exponents of the colour channels.
        brightness: Factor on all channels.
        occluder: What is painted over the crop.
        damage: What is lost of the picture.
    """

    scale: float
    shift: tuple[float, float]
    rotation_deg: float
    flip: bool
    powers: np.ndarray
    brightness: float
    occluder: Occluder | None
    damage: Damage = Damage()


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


def make_crop(image: np.ndarray, sample: PoseSample, matrix: np.ndarray, size: int) -> Crop:
    """Cut a labelled crop; a mirroring matrix also swaps left and right joints.

    Args:
        image: ``(H, W, 3)`` RGB uint8, the sample's.
        sample: The labels.
        matrix: ``(3, 3)`` map from image px to [0, 1] of the crop.
        size: Side of the crop in px.
    """
    joints = np.full((len(sample.skeleton), 3), 0.5, np.float32)
    joints[:, :2] = transform_points(matrix, sample.joints[:, :2])
    if sample.joints.shape[1] == 3:
        joints[:, 2] += sample.joints[:, 2] / DEPTH_RANGE_MM
    known, depth_valid = sample.valid, sample.depth_valid
    if np.linalg.det(matrix) < 0:
        mirror = list(sample.skeleton.flip_indices)
        joints, known, depth_valid = joints[mirror], known[mirror], depth_valid[mirror]
    valid = known & ((joints[:, :2] > 0) & (joints[:, :2] < 1)).all(1)
    return Crop(warp_image(image, matrix, size), joints, valid, known, depth_valid & valid, matrix)


def evaluation_crop(image: np.ndarray, sample: PoseSample, size: int) -> Crop:
    """The upright crop around the person for evaluation; arguments as for `make_crop`."""
    return make_crop(image, sample, crop_matrix(person_square(sample.box)), size)


def augmented_crop(
    image: np.ndarray,
    sample: PoseSample,
    augmentation: Augmentation,
    size: int,
    square: Square | None = None,
) -> Crop:
    """A crop around the person with random changes; arguments as for `make_crop`.

    Args:
        image: ``(H, W, 3)`` RGB uint8, the sample's.
        sample: The labels.
        augmentation: From :meth:`AugmentRanges.draw`.
        size: Side of the crop in px.
        square: The person's square where it is not that of the sample's box, as in a clip.
    """
    centre_x, centre_y, side = person_square(sample.box) if square is None else square
    shift_x, shift_y = augmentation.shift
    matrix = crop_matrix(
        (centre_x + shift_x * side, centre_y + shift_y * side, augmentation.scale * side),
        augmentation.rotation_deg,
        augmentation.flip,
    )
    crop = make_crop(image, sample, matrix, size)
    recoloured = _recolour(crop.image, augmentation)
    occluded = _occlude(recoloured, augmentation.occluder)
    return crop._replace(image=_damage(occluded, augmentation.damage))


def _recolour(image: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    levels = np.linspace(0, 1, 256)[:, None] ** augmentation.powers * augmentation.brightness
    table = np.rint(255 * levels.clip(0, 1)).astype(np.uint8)
    return cv2.LUT(image, table[:, None])


def _occlude(image: np.ndarray, occluder: Occluder | None) -> np.ndarray:
    if occluder is not None:
        x0, y0, x1, y1 = np.rint(np.multiply(occluder.box, image.shape[0])).astype(int)
        image[y0:y1, x0:x1] = occluder.colour
    return image


def _damage(image: np.ndarray, damage: Damage) -> np.ndarray:
    size = image.shape[0]
    if damage.blur is not None:
        length, angle = damage.blur
        reach = max(1, round(length * size / 256))
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        ends = np.rint(reach * np.array((np.cos(angle), np.sin(angle)))).astype(int)
        cv2.line(kernel, (reach - ends).tolist(), (reach + ends).tolist(), 1.0)
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if damage.shrink is not None:
        small = max(8, round(size * damage.shrink))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    if damage.quality is not None:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, damage.quality])
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return image
