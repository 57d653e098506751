"""Backgrounds: rooms, open ground, or crops of photos."""

from pathlib import Path

import cv2
import numpy as np

from poseact.media import read_image
from poseact.synthetic.angles import rotation
from poseact.synthetic.scene import View
from poseact.synthetic.texture import draw_colour, draw_tile, noise

PHOTO_SHARE = 0.5
"""How many pictures have a photo behind the person, where photos are given."""


_HORIZON = 60_000.0  # mm; beyond it the floor is not drawn


def draw_background(
    rng: np.random.Generator, view: View, target: np.ndarray, photos: tuple[Path, ...]
) -> np.ndarray:
    """``(H, W, 3)`` float32 RGB in 0 … 1.

    Args:
        rng: Random generator.
        view: The camera.
        target: ``(3,)`` where the person is.
        photos: Pictures to take crops of; may be empty.
    """
    if photos and rng.random() < PHOTO_SHARE:
        out = _crop(rng, read_image(photos[rng.integers(len(photos))]), view)
    else:
        kind = rng.random()
        out = _room(rng, view, target) if kind < 0.5 else _open(rng, view)
        if kind > 0.9:
            out = _studio(rng, view)
    blur = rng.choice([0.0, rng.uniform(0.3, 3.5)])
    return cv2.GaussianBlur(out, (0, 0), blur) if blur > 0.3 else out


def _crop(rng: np.random.Generator, photo: np.ndarray, view: View) -> np.ndarray:
    height, width = photo.shape[:2]
    scale = min(width / view.width, height / view.height) * rng.uniform(0.4, 1)
    w, h = max(int(view.width * scale), 1), max(int(view.height * scale), 1)
    x, y = rng.integers(0, max(width - w, 0) + 1), rng.integers(0, max(height - h, 0) + 1)
    out = photo[y : y + h, x : x + w]
    out = out[:, ::-1] if rng.random() < 0.5 else out
    out = cv2.resize(out, (view.width, view.height), interpolation=cv2.INTER_AREA)
    return out.astype(np.float32) / 255


def _studio(rng: np.random.Generator, view: View) -> np.ndarray:
    colours = np.stack([draw_colour(rng), draw_colour(rng)]) * 0.4 + rng.uniform(0, 0.6)
    ramp = np.linspace(0, 1, view.height)[:, None, None]
    out = np.broadcast_to(colours[0] * (1 - ramp) + colours[1] * ramp, (view.height, view.width, 3))
    return np.clip(out, 0, 1).astype(np.float32)


def _floor(rng: np.random.Generator, view: View, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours ``(H, W, 3)`` and distances ``(H, W)`` along the rays of the ground, ∞ above it."""
    reach = np.float32(-view.place[1]) / np.minimum(rays[..., 1], np.float32(-1e-3))
    distance = np.where((rays[..., 1] < -1e-3) & (reach < _HORIZON), reach, np.float32(np.inf))
    places = rays[..., [0, 2]] * reach[..., None] + view.place[[0, 2]].astype(np.float32)
    out = _wallpaper(rng, places)
    if rng.random() < 0.3:  # lines of a pitch or a court
        turn = rotation("y", rng.uniform(0, 180))[[0, 2]][:, [0, 2]].astype(np.float32)
        marks = ((places @ turn + rng.uniform(0, 4000)) % rng.uniform(1500, 6000) < 60).any(-1)
        out[marks] = rng.uniform(0.6, 1)
    return out, distance


def _wallpaper(rng: np.random.Generator, places: np.ndarray) -> np.ndarray:
    """A repeated tile at ``(H, W, 2)`` places in mm."""
    tile = draw_tile(rng)
    scale = tile.shape[0] / np.exp(rng.uniform(np.log(500), np.log(5000)))
    turn = rotation("z", rng.choice([0, rng.uniform(0, 90)]))[:2, :2]
    at = (places @ (turn * scale).astype(np.float32)) % np.float32(tile.shape[0])
    x, y = cv2.split(at)
    return cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _room(rng: np.random.Generator, view: View, target: np.ndarray) -> np.ndarray:
    """A floor and two walls."""
    rays = view.rays()
    out, nearest = _floor(rng, view, rays)
    away = target - view.place
    heading = np.degrees(np.arctan2(away[0], away[2])) + rng.uniform(-35, 35)
    for side in (0, rng.choice([-90, 90])):
        inward = -(rotation("y", heading + side) @ [0, 0, 1]).astype(np.float32)
        gap = rng.uniform(500, 5000) if side == 0 else rng.uniform(1000, 4000)
        offset = np.float32((target - view.place) @ inward - gap)
        distance = offset / np.minimum(rays @ inward, np.float32(-1e-4))
        front = (distance < nearest) & (distance > 0)
        if not front.any():
            continue
        across = np.cross(inward, [0, 1, 0])
        along = rays @ np.stack((across, [0, 1, 0]), 1).astype(np.float32)
        along = along * distance[..., None] + np.array(
            [view.place @ across, view.place[1]], np.float32
        )
        wall = _wallpaper(rng, along) * np.float32(rng.uniform(0.6, 1.1))
        middle = along[front].mean(0) * [1, 0]
        for _ in range(rng.poisson(2.5)):  # windows, doors and pictures
            centre = np.add(middle, (rng.normal(0, 2000), rng.uniform(300, 2200)))
            low = (centre - (half := np.exp(rng.uniform(np.log(150), np.log(1500), 2)))).tolist()
            high = (centre + half).tolist()
            inside = cv2.inRange(along, (*low, 0, 0), (*high, 0, 0)) > 0
            wall[inside] = draw_colour(rng) if rng.random() < 0.7 else wall[inside] * 0.3 + 0.65
        cv2.copyTo(wall, front.astype(np.uint8), out)
        nearest = np.where(front, distance, nearest)
    return np.clip(out, 0, 1)


def _open(rng: np.random.Generator, view: View) -> np.ndarray:
    """Ground, trees or houses at the horizon, and sky."""
    rays = view.rays()
    out, distance = _floor(rng, view, rays)
    above = np.isinf(distance)
    height = rays[..., 1] / np.hypot(rays[..., 0], rays[..., 2])
    sky = np.array([0.5, 0.65, 0.85]) * rng.uniform(0.6, 1.1) * np.exp(rng.normal(0, 0.12, 3))
    pale = np.clip(1 - height * rng.uniform(0.5, 4), 0, 1)[..., None]
    clouds = cv2.resize(noise(rng, 64, 4), (view.width, view.height))[..., None]
    air = sky + (1 - sky) * np.clip(pale * 0.8 + clouds * rng.uniform(0, 0.3), 0, 1)
    out[above] = air[above]
    haze = np.clip(np.where(above, 0, distance) / 40_000, 0, 0.8)[..., None]
    out = np.where(above[..., None], out, out * (1 - haze) + haze * 0.7)
    if rng.random() < 0.85:
        edge = np.interp(
            np.arange(view.width), np.linspace(0, view.width, 24), rng.uniform(0, 1, 24)
        )
        if rng.random() < 0.4:  # flat roofs
            edge = np.round(edge * 3) / 3
        band = (height > -0.03) & (height < rng.uniform(0.02, 0.5) * (0.5 + edge))
        tile = draw_tile(rng)
        bushes = cv2.resize(tile, (view.width, view.height), interpolation=cv2.INTER_LINEAR)
        green = draw_colour(rng) if rng.random() < 0.5 else np.array([0.2, 0.3, 0.12])
        bushes = bushes.mean(-1, keepdims=True) * green * 1.6
        out = np.where(band[..., None], bushes, out)
    if rng.random() < 0.6:
        out = _plants(rng, out.astype(np.float32))
    return np.clip(out, 0, 1).astype(np.float32)


def _plants(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Trunks, branches and leaves over a picture: upright, forked distractors."""
    height, width = picture.shape[:2]
    for _ in range(1 + rng.poisson(1.5)):
        tone = rng.uniform(0.15, 0.75) * np.exp(rng.normal(0, 0.1, 3)) * [1, 0.85, 0.7]
        thick = float(np.exp(rng.uniform(np.log(0.015), np.log(0.12))) * width)
        foot = np.array([rng.uniform(-0.1, 1.1) * width, rng.uniform(0.45, 1.05) * height])
        wood = _wood(rng, foot, thick, width, height)
        grain = cv2.resize(noise(rng, 128, 2, 0.8), (width, height))[..., None]
        picture = _covered(picture, wood, tone * (1 + 0.5 * grain))
        if rng.random() < 0.6:
            leaves = _leaves(rng, foot, width, height)
            green = rng.uniform(0.2, 0.8) * np.array([0.5, 0.75, 0.25])
            green = green * np.exp(rng.normal(0, 0.2, 3))
            picture = _covered(picture, leaves, green * (1 + 0.9 * grain))
    return picture.astype(np.float32)


def _wood(
    rng: np.random.Generator, foot: np.ndarray, thick: float, width: int, height: int
) -> np.ndarray:
    """``(H, W)`` in 0 … 1 where a trunk and its branches are."""
    wood = np.zeros((height, width), np.uint8)
    # Stack of branches to draw: start, direction, length, thickness.
    limbs = [(foot, rng.normal(-90, 7), rng.uniform(0.35, 1.0) * height, thick)]
    while limbs:
        start, angle, length, thick = limbs.pop()
        way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        near, far = (
            np.rint(np.clip([start, start + way * length], -4000, 4000)).astype(int).tolist()
        )
        cv2.line(wood, near, far, 255, max(round(thick), 1), cv2.LINE_AA)
        if thick > 1.5:
            places, sides = rng.uniform(0.4, 1.0, 3), rng.normal(0, 45, 3)
            limbs += [
                (
                    start + way * length * at,
                    angle + side,
                    length * rng.uniform(0.3, 0.7),
                    thick * 0.55,
                )
                for at, side in zip(places, sides, strict=True)
            ]
    return wood.astype(np.float32) / 255


def _leaves(rng: np.random.Generator, foot: np.ndarray, width: int, height: int) -> np.ndarray:
    """``(H, W)`` in 0 … 1 where the leaves above a trunk are."""
    at = foot - np.array([0, rng.uniform(0.4, 1.0) * height])
    spread = rng.uniform(0.1, 0.45) * width
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    clumps = cv2.resize(noise(rng, 128, 2, 0.85), (width, height))
    return np.clip((clumps + 0.7 - np.hypot(x - at[0], y - at[1]) / spread) * 6, 0, 1)


def _covered(picture: np.ndarray, cover: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The picture blended with colours by an ``(H, W)`` mask."""
    share = cover[..., None]
    return picture * (1 - share) + np.clip(colours, 0, 1) * share
