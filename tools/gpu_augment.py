"""The random changes of :class:`poseact.data.augment.AugmentRanges` for whole batches on a device.

They are drawn by NumPy, so that the same batch comes of every device. Strong JPEG compression,
which no GPU offers here, is left out; all crops of a batch with a low resolution share it; and what
lies outside a packed crop is black, as what lies outside a photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from poseact.losses import PoseTargets

BLUR_LENGTHS = (3, 10)
"""Length of a motion blur in px of a crop of 128, the last left out."""
SHRINK = (0.15, 0.6)
"""Factor on the resolution of a crop."""
MIN_SIDE = 8


class People(NamedTuple):
    """N packed people.

    Attributes:
        pictures: ``(N, 3, S, S)`` RGB uint8.
        joints: ``(N, J, 3)`` in [0, 1] of the picture; z in [0, 1] with 0.5 at the root.
        known: ``(N, J)`` boolean; labelled.
        depth_valid: ``(N, J)`` boolean; with a labelled depth.
    """

    pictures: Tensor
    joints: Tensor
    known: Tensor
    depth_valid: Tensor


class Draws(NamedTuple):
    """Random choices for N people; see :class:`poseact.data.augment.Augmentation`.

    Attributes:
        to_crop: ``(N, 2, 3)`` affine maps of places in the picture to places in the crop, both in
            [0, 1].
        flip: ``(N,)`` boolean.
        powers: ``(N, 3)`` exponents of the colours.
        brightness: ``(N,)``.
        boxes: ``(N, 4)`` x0, y0, x1, y1 of the occluders in [0, 1]; empty ones where there is none.
        colours: ``(N, 3)`` of the occluders in [0, 1].
        blurred: Numbers of the people with motion blur.
        blurs: ``(len(blurred), 2)`` length in px of 128 and angle in radians.
        shrunk: Numbers of the people with a low resolution.
        shrink: Its factor.
    """

    to_crop: np.ndarray
    flip: np.ndarray
    powers: np.ndarray
    brightness: np.ndarray
    boxes: np.ndarray
    colours: np.ndarray
    blurred: np.ndarray
    blurs: np.ndarray
    shrunk: np.ndarray
    shrink: float


def draw(ranges: Any, count: int, room: float, rng: np.random.Generator) -> Draws:
    """Random choices for a batch.

    Args:
        ranges: With the fields of :class:`poseact.data.augment.AugmentRanges`.
        count: People.
        room: Side of the pictures in windows of the person.
        rng: Decides everything.
    """
    wide = rng.random(count) < ranges.wide
    # Wider than the picture would show black around it.
    lows, highs = np.array((ranges.scale, np.minimum(ranges.wide_scale, room)))[wide.astype(int)].T
    scale = np.exp(rng.uniform(np.log(lows), np.log(highs)))
    reach = np.where(wide, (scale - 1).clip(0) / 2, ranges.translation * scale)
    shift = rng.uniform(-1, 1, (count, 2)) * reach[:, None]
    angle, distance = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.5, 1.2, count) * scale
    aside = distance[:, None] * np.column_stack((np.cos(angle), np.sin(angle)))
    shift = np.where(rng.random((count, 1)) < ranges.beside, aside, shift)
    spun = rng.random(count) < ranges.spin
    turn = np.deg2rad(rng.uniform(-1, 1, count) * np.where(spun, 180, ranges.rotation_deg))
    flip = rng.random(count) < ranges.flip
    sides = rng.uniform(*ranges.occlusion_side, (count, 2))
    sides *= rng.random((count, 1)) < ranges.occlusion
    corner = rng.uniform(0, 1 - sides)
    blurred, shrunk = (np.flatnonzero(rng.random(count) < ranges.degrade) for _ in range(2))
    blurs = (rng.integers(*BLUR_LENGTHS, len(blurred)), rng.uniform(0, np.pi, len(blurred)))
    return Draws(
        to_crop=crop_maps(scale, shift, turn, flip, room),
        flip=flip,
        powers=rng.uniform(*ranges.power, (count, 3)),
        brightness=rng.uniform(*ranges.brightness, count),
        boxes=np.column_stack((corner, corner + sides)),
        colours=rng.random((count, 3)),
        blurred=blurred,
        blurs=np.column_stack(blurs),
        shrunk=shrunk,
        shrink=float(rng.uniform(*SHRINK)),
    )


def crop_maps(
    scale: np.ndarray, shift: np.ndarray, turn: np.ndarray, flip: np.ndarray, room: float
) -> np.ndarray:
    """``(N, 2, 3)`` maps of pictures to crops; see :func:`poseact.media.crop.crop_matrix`.

    Args:
        scale: ``(N,)`` sides of the crops in windows of the people.
        shift: ``(N, 2)`` of their centres in windows.
        turn: ``(N,)`` clockwise angles in radians.
        flip: ``(N,)`` whether the content is mirrored then.
        room: Side of the pictures in windows.
    """
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    side = np.where(flip, -1, 1)
    linear = np.array(((side * cos, -side * sin), (sin, cos))).transpose(2, 0, 1)
    centre = room / 2 + shift
    offset = 0.5 - (linear @ centre[..., None])[..., 0]
    return np.concatenate((linear * room, offset[..., None]), -1)


def augmented(
    people: People, draws: Draws, size: int, mirror: Sequence[int]
) -> tuple[Tensor, PoseTargets]:
    """The crops of a batch, ``(B, 1, 3, size, size)`` RGB in [-1, 1], and what they show.

    Args:
        people: B of them.
        draws: Random choices for them.
        size: Side of the crops in px.
        mirror: Permutation of the joints that swaps left and right.
    """
    device = people.pictures.device

    def moved(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(device, non_blocking=True)

    images = sampled(people.pictures, draws.to_crop, size)
    images = images.pow(moved(draws.powers)[..., None, None])
    images = (images * moved(draws.brightness)[:, None, None, None]).clamp(0, 1)
    images = occluded(images, moved(draws.boxes), moved(draws.colours))
    if len(draws.blurred):
        rows = torch.from_numpy(draws.blurred).to(device)
        images[rows] = blurred(images[rows], moved(draws.blurs))
    if len(draws.shrunk):
        rows = torch.from_numpy(draws.shrunk).to(device)
        small = max(MIN_SIDE, round(size * draws.shrink))
        coarse = F.interpolate(images[rows], (small, small), mode="area")
        images[rows] = F.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)

    maps = moved(draws.to_crop)
    places = people.joints[..., :2] @ maps[..., :2].mT + maps[..., 2].unsqueeze(1)
    joints = torch.cat((places, people.joints[..., 2:]), -1)
    flip = torch.from_numpy(draws.flip).to(device)
    joints, known, depth_valid = (
        torch.where(flip.view(-1, *[1] * (part.ndim - 1)), part[:, mirror], part)
        for part in (joints, people.known, people.depth_valid)
    )
    valid = known & ((joints[..., :2] > 0) & (joints[..., :2] < 1)).all(-1)
    targets = PoseTargets(joints, valid, known, depth_valid & valid)
    return 2 * images.unsqueeze(1) - 1, PoseTargets(*(part.unsqueeze(1) for part in targets))


def sampled(pictures: Tensor, to_crop: np.ndarray, size: int) -> Tensor:
    """``(N, 3, S, S)`` uint8 pictures seen through maps of theirs, in [0, 1]; black outside."""
    inverse = np.linalg.inv(to_crop[..., :2])
    centre = inverse @ (0.5 - to_crop[..., 2:]) - 0.5
    # From [0, 1] to the grid's [-1, 1].
    grid_map = np.concatenate((inverse, 2 * centre), -1).astype(np.float32)
    theta = torch.from_numpy(grid_map).to(pictures.device, non_blocking=True)
    grid = F.affine_grid(theta, [len(pictures), 3, size, size], align_corners=False)
    return F.grid_sample(pictures.float() / 255, grid, align_corners=False)


def occluded(images: Tensor, boxes: Tensor, colours: Tensor) -> Tensor:
    """``(N, 3, S, S)`` images with a rectangle of one colour each, ``(N, 4)`` in [0, 1]."""
    size = images.shape[-1]
    grid = (torch.arange(size, device=images.device) + 0.5) / size
    low, high = boxes[:, :2, None], boxes[:, 2:, None]
    across, down = ((grid >= low) & (grid < high)).unbind(1)  # (N, S) each
    inside = (down.unsqueeze(-1) & across.unsqueeze(-2)).unsqueeze(1)
    return torch.where(inside, colours[..., None, None], images)


def blurred(images: Tensor, blurs: Tensor) -> Tensor:
    """``(N, 3, S, S)`` images, each moved along a line; length and angle as ``(N, 2)``."""
    count, channels, size, _ = images.shape
    reach = (blurs[:, 0, None, None] * size / 256).clamp_min(1)
    most = max(1, round(BLUR_LENGTHS[1] * size / 256))
    grid = torch.arange(-most, most + 1, device=images.device)
    x, y = grid[None, None], grid[None, :, None]
    cos, sin = blurs[:, 1].cos()[:, None, None], blurs[:, 1].sin()[:, None, None]
    on_line = ((y * cos - x * sin).abs() <= 0.5) & ((x * cos + y * sin).abs() <= reach)
    kernel = on_line / on_line.sum((1, 2), keepdim=True)
    kernels = kernel.repeat_interleave(channels, 0).unsqueeze(1)
    padded = F.pad(images, [most] * 4, mode="replicate").flatten(0, 1).unsqueeze(0)
    return F.conv2d(padded, kernels, groups=count * channels).view_as(images)
