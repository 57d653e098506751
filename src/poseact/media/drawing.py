"""Drawing of bodies, boxes and captions onto pictures.

All functions return a new picture and leave the one given as it was, unless they are to draw in
place: a frame of a video then takes one copy, not one for everything in it. In place they also draw
on planes, where the colours have half the resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np

from poseact.media.crop import Box
from poseact.media.planes import SHRINKS, Planes
from poseact.skeleton import Skeleton

Colour = tuple[int, int, int]
Picture = TypeVar("Picture", np.ndarray, Planes)

# RGB by side of the person. Blue and orange differ for every kind of colour blindness.
SIDE_COLOURS: dict[str, Colour] = {
    "left": (64, 169, 255),
    "right": (255, 140, 26),
    "centre": (250, 250, 250),
}
BOX_COLOUR: Colour = (250, 250, 250)
OUTLINE: Colour = (24, 27, 33)

# The smallest joint confidence that is drawn by default.
DRAW_THRESHOLD = 0.3

# Thickness of a limb as a share of the person's extent.
_LIMB_SHARE = 0.014

# Joints of a smaller radius, in px, are plain discs: a ring would be a smudge.
_SMALLEST_RING = 3.5

# Height of what the side view of a person shows, and the length of a trunk, in mm.
_SIDE_VIEW_MM = 2000.0
_TRUNK_MM = 500.0

_FONT = cv2.FONT_HERSHEY_DUPLEX

# OpenCV takes sub-pixel coordinates as whole numbers of 1 / 2 ** _SHIFT px.
_SHIFT = 4


def draw_pose(
    image: Picture,
    joints: np.ndarray,
    confidence: np.ndarray,
    skeleton: Skeleton,
    threshold: float = DRAW_THRESHOLD,
    *,
    in_place: bool = False,
) -> Picture:
    """Draw one person's limbs and joints.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or planes.
        joints: ``(J, 2)`` or ``(J, 3)`` x and y in px of the image; a depth is not looked at.
            Joints that are not finite, or lie more than the picture's size beside it, are left out.
        confidence: ``(J,)`` confidence of each joint.
        skeleton: Names the J joints and the limbs between them.
        threshold: Joints of lower confidence, and their limbs, are left out.
        in_place: Draw into the picture itself, which lies in one piece.

    Returns:
        The picture.
    """
    canvas = image if in_place else copied(image)
    size = np.array(canvas.shape[1::-1])
    points = np.asarray(joints, float)[:, :2]
    shown = np.isfinite(points).all(1) & (np.nan_to_num(confidence, nan=-np.inf) >= threshold)
    shown &= (np.abs(np.nan_to_num(points) - size / 2) <= 1.5 * size).all(1)
    if not shown.any():
        return canvas
    extent = np.hypot(*np.ptp(points[shown], axis=0)) or min(size) / 4
    stroke = _stroke(min(extent, np.hypot(*size)))
    _draw_body(canvas, points, shown, skeleton, stroke=stroke)
    return canvas


def draw_box(
    image: Picture,
    box: Box,
    colour: Colour = BOX_COLOUR,
    label: str = "",
    *,
    in_place: bool = False,
) -> Picture:
    """Draw a rectangle, with a caption standing on its upper edge if one is given.

    Args:
        image: See :func:`draw_pose`.
        box: x0, y0, x1, y1 in px; what lies outside of the picture is cut off, and a box that is
            not finite is left out.
        colour: RGB.
        label: Caption.
        in_place: See :func:`draw_pose`.

    Returns:
        The picture.
    """
    canvas = image if in_place else copied(image)
    if not np.isfinite(box).all():
        return canvas
    height, width = canvas.shape[:2]
    x0, y0, x1, y1 = np.clip(box, -1, [width, height, width, height])
    thickness = max(2, round(min(height, width) / 300))
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    for pixels, shrink, value in _layers(canvas):
        line = [_fixed(corners, shrink)]
        # Not cv2.rectangle: it draws the four sides unequally thick at sub-pixel places.
        for colour_, extra in ((OUTLINE, 2), (colour, 0)):
            look = value(colour_), max(1, round((thickness + extra) / shrink))
            cv2.polylines(pixels, line, True, *look, cv2.LINE_AA, _SHIFT)
    if not label:
        return canvas
    return draw_label(canvas, label, (x0, y0 - _panel(canvas, label).height), in_place=True)


def draw_label(
    image: Picture,
    text: str,
    origin: tuple[float, float] = (0, 0),
    colour: Colour = BOX_COLOUR,
    *,
    in_place: bool = False,
) -> Picture:
    """Write text on a dark panel.

    Args:
        image: See :func:`draw_pose`.
        text: One line; characters outside of ASCII, which the font lacks, become ``?``.
        origin: Upper left corner of the panel in px, moved so that the panel is in the picture.
        colour: RGB of the letters.
        in_place: See :func:`draw_pose`.

    Returns:
        The picture.
    """
    canvas = image if in_place else copied(image)
    look = _panel(canvas, text)
    height, width = canvas.shape[:2]
    x = int(np.clip(np.nan_to_num(origin[0]), 0, max(0, width - look.width)))
    y = int(np.clip(np.nan_to_num(origin[1]), 0, max(0, height - look.height)))
    for pixels, shrink, value in _layers(canvas):
        rows = slice(y // shrink, (y + look.height) // shrink)
        panel = pixels[rows, x // shrink : (x + look.width) // shrink]
        panel[:] = (0.25 * panel + 0.75 * np.array(value(OUTLINE))).astype(np.uint8)
        place = (x + look.pad) // shrink, (y + look.baseline) // shrink
        letters = _FONT, look.scale / shrink, value(colour), max(1, look.weight // shrink)
        cv2.putText(pixels, look.text, place, *letters, cv2.LINE_AA)
    return canvas


def draw_side_view(
    joints3d: np.ndarray, skeleton: Skeleton, size: int = 256, extent: float | None = None
) -> np.ndarray:
    """Draw a body as seen from the side: depth to the right, y downwards.

    Args:
        joints3d: ``(J, 3)`` x, y and depth, all in one unit; joints that are not finite are left
            out.
        skeleton: Names the J joints and the limbs between them.
        size: Width and height of the result in px.
        extent: What the picture's height stands for, in the unit of the joints, so that the bodies
            of a video keep their scale. None to fill the picture.

    Returns:
        ``(size, size, 3)`` uint8 RGB, centred on the body.
    """
    canvas = np.full((size, size, 3), OUTLINE, np.uint8)
    joints3d = np.asarray(joints3d, float)
    shown = np.isfinite(joints3d).all(1)
    if not shown.any():
        return canvas
    side = joints3d[:, [2, 1]]
    low, high = side[shown].min(0), side[shown].max(0)
    scale = size / extent if extent else 0.8 * size / (max(high - low) or 1.0)
    points = (side - (low + high) / 2) * scale + size / 2
    # Points far outside are not needed, and overflow OpenCV's integers.
    shown &= (np.abs(points - size / 2) <= 2 * size).all(1)
    # With depth to the right, the viewer stands at the end of the x axis.
    stroke = _stroke(1.2 * size)
    _draw_body(canvas, points, shown, skeleton, stroke=stroke, nearness=joints3d[:, 0])
    return canvas


def side_view_of(joints: np.ndarray, skeleton: Skeleton, size: int) -> np.ndarray:
    """A person from the side, ``(size, size, 3)`` uint8 RGB, two metres high.

    Args:
        joints: ``(J, 3)`` x and y in px, z in mm.
        skeleton: Names the joints.
        size: Width and height in px.
    """
    scale = px_per_mm(joints, skeleton)
    return draw_side_view(joints / (scale, scale, 1), skeleton, size, extent=_SIDE_VIEW_MM)


def px_per_mm(joints: np.ndarray, skeleton: Skeleton) -> float:
    """Rough scale of a person, assuming a trunk, pelvis to thorax, of half a metre.

    Args:
        joints: ``(J, 3)`` x and y in px, z in mm.
        skeleton: Names the joints; without a trunk the scale is 1.
    """
    if not {"pelvis", "thorax"} <= set(skeleton.joints):
        return 1.0
    across = joints[skeleton.index("thorax")] - joints[skeleton.index("pelvis")]
    in_plane_mm = max(_TRUNK_MM**2 - float(across[2]) ** 2, (_TRUNK_MM / 4) ** 2) ** 0.5
    return max(float(np.hypot(across[0], across[1])), 1.0) / in_plane_mm


def copied(image: Picture) -> Picture:
    """A copy of a picture, in one piece."""
    return np.array(image, order="C") if isinstance(image, np.ndarray) else image.copied()


def picture_grid(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Put pictures of one size side by side, row by row; the last row is filled with black.

    Args:
        tiles: ``(H, W, 3)`` uint8 each, at least one.
        columns: Pictures in a row.

    Returns:
        ``(rows * H, columns * W, 3)`` uint8.
    """
    filled = [*tiles, *[np.zeros_like(tiles[0])] * (-len(tiles) % columns)]
    rows = [np.hstack(filled[start : start + columns]) for start in range(0, len(filled), columns)]
    return np.vstack(rows)


class _Panel(NamedTuple):
    text: str
    scale: float
    weight: int
    pad: int
    baseline: int
    width: int
    height: int


def _panel(canvas: np.ndarray | Planes, text: str) -> _Panel:
    """Lay out a caption in proportion to the picture, all in px."""
    text = text.encode("ascii", "replace").decode()
    scale = max(0.4, min(canvas.shape[:2]) / 900)
    weight = max(1, round(1.4 * scale))
    (width, height), descent = cv2.getTextSize(text, _FONT, scale, weight)
    pad = max(3, round(0.6 * height))
    return _Panel(
        text,
        scale,
        weight,
        pad,
        baseline=pad + height,
        width=width + 2 * pad,
        height=height + descent // 2 + 2 * pad,
    )


def _draw_body(
    canvas: np.ndarray | Planes,
    points: np.ndarray,
    shown: np.ndarray,
    skeleton: Skeleton,
    *,
    stroke: float,
    nearness: np.ndarray | None = None,
) -> None:
    """Draw limbs, then joints, onto the canvas; nearer limbs over those further away."""
    near = np.zeros(len(points)) if nearness is None else nearness
    sides = [skeleton.side(joint) for joint in skeleton.joints]
    limbs = [limb for limb in skeleton.limb_indices if shown[list(limb)].all()]
    limbs.sort(key=lambda limb: near[limb[0]] + near[limb[1]])
    colours = [SIDE_COLOURS[_limb_side(sides[a], sides[b])] for a, b in limbs]
    edge, radius = max(1.0, 0.3 * stroke), 0.85 * stroke
    points = np.where(shown[:, None], points, 0)
    for pixels, shrink, value in _layers(canvas):
        places = _fixed(points, shrink).tolist()
        # All outlines first: each limb's own would cut across the limb it joins.
        for width, outline in ((stroke + 2 * edge, True), (stroke, False)):
            thickness = max(1, round(width / shrink))
            for (a, b), own in zip(limbs, colours, strict=True):
                look = value(OUTLINE if outline else own), thickness, cv2.LINE_AA, _SHIFT
                cv2.line(pixels, places[a], places[b], *look)
        for index in np.flatnonzero(shown):
            discs = [(radius + edge, OUTLINE), (radius, SIDE_COLOURS[sides[index]])]
            if radius >= _SMALLEST_RING:
                discs.append((0.4 * radius, OUTLINE))
            for reach, colour in discs:
                disc = places[index], round(reach / shrink * 2**_SHIFT), value(colour)
                cv2.circle(pixels, *disc, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _limb_side(a: str, b: str) -> str:
    sides = {a, b} - {"centre"}
    return sides.pop() if len(sides) == 1 else "centre"


def _stroke(extent: float) -> float:
    return max(2.0, _LIMB_SHARE * extent)


class _Layer(NamedTuple):
    """An array to draw on.

    Attributes:
        pixels: ``(h, w)`` or ``(h, w, 3)``.
        shrink: How much smaller it is than the picture, along a side.
        value: What an RGB colour is in it.
    """

    pixels: np.ndarray
    shrink: int
    value: Callable[[Colour], Any]


def _layers(canvas: np.ndarray | Planes) -> list[_Layer]:
    if isinstance(canvas, np.ndarray):
        return [_Layer(canvas, 1, tuple)]
    return [
        _Layer(canvas.layers[plane], shrink, partial(canvas.number, plane))
        for plane, shrink in enumerate(SHRINKS)
    ]


def _fixed(points: np.ndarray | list[tuple[float, float]], shrink: int) -> np.ndarray:
    """Points as OpenCV's fixed-point numbers, in which pixel centres are integers.

    Args:
        points: ``(N, 2)`` in px of the picture.
        shrink: See :class:`_Layer`.
    """
    return np.rint(((np.asarray(points) + 0.5) / shrink - 0.5) * 2**_SHIFT).astype(np.int32)
