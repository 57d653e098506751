"""Videos of people who cross, hide and leave, with exact ids, to test trackers on.

Every person is rendered once, through a cycle of steps, and these pictures move along lanes: nearer
lanes are lower in the picture and larger, and cover those behind them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write, open_folder
from poseact.data.camera import Camera
from poseact.media import VideoWriter
from poseact.synthetic.angles import rotation
from poseact.synthetic.background import draw_background
from poseact.synthetic.body import Body, template
from poseact.synthetic.clothes import Outfit, draw_outfit
from poseact.synthetic.motion import recordings
from poseact.synthetic.random_person import Finish, draw_shape, on_floor
from poseact.synthetic.render import render
from poseact.synthetic.scene import Light, View, draw_light
from poseact.synthetic.texture import draw_tile

SCENE_FPS = 15
SCENE_SECONDS = 20
SCENE_SIZE = (640, 360)
TRUTH_TABLE = "people.csv"
"""Name of the table of who is where, with the columns ``TRUTH_COLUMNS``."""

TRUTH_COLUMNS = ("source", "frame", "person", "x0", "y0", "x1", "y1", "visible")

_PERSON_PX = 200
_CYCLE = "walk1"
# Height of the nearest and the farthest person as a share of the picture, and where the feet are.
_HEIGHTS = (0.6, 0.34)
_FEET = (0.97, 0.76)
_SPEED = (0.5, 0.9)  # heights per second
_STRIDE = 0.055  # heights per picture of the cycle
_HIDDEN_S = 1.05
# How long the middle of a person is outside of the picture, and how long people stand.
_AWAY_S = (0.9, 1.6)
_STAND_S = (0.0, 1.5)


class Seen(NamedTuple):
    """A person in a frame.

    Attributes:
        person: Id, from 0.
        box: ``(4,)`` x0, y0, x1, y1 px around what is seen.
        visible: Share of the person that is seen.
    """

    person: int
    box: np.ndarray
    visible: float


@dataclass(frozen=True)
class _Walker:
    """A person who walks along a lane.

    Attributes:
        steps: ``(h, w, 4)`` float32 premultiplied RGB and cover of a cycle, looking to the right.
        places: ``(T,)`` px of the middle in each frame.
        ground: Px of the feet.
    """

    steps: list[np.ndarray]
    places: np.ndarray
    ground: float

    def paste(self, frame: int, size: tuple[int, int]) -> np.ndarray:
        """``(H, W, 4)`` layer of the person in a frame."""
        moved = float(np.abs(np.diff(self.places[: frame + 1])).sum())
        height = self.steps[0].shape[0]
        step = self.steps[int(moved / (_STRIDE * height)) % len(self.steps)]
        ahead = self.places[frame:]
        if (ahead[:2] == ahead[0]).all():  # stands
            step = min(self.steps, key=lambda one: np.ptp(np.flatnonzero(one[..., 3].any(0))))
        if (turns := np.flatnonzero(ahead != ahead[0])).size and ahead[turns[0]] < ahead[0]:
            step = step[:, ::-1]
        shift = (self.places[frame] - step.shape[1] / 2, self.ground - height)
        return cv2.warpAffine(step, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), size)


def draw_scene(
    seed: int, number: int, seconds: float = SCENE_SECONDS
) -> Iterator[tuple[np.ndarray, list[Seen]]]:
    """The frames of a scene of 2 to 5 people, with the visible people.

    People walk from side to side, at a speed of their own. On each side they leave the picture and
    come back, or turn in view after standing a while. In every third scene there is a pillar, and
    each person stops once behind it, hidden whole for more than a second, and walks on. In every
    fourth scene two people have the same body and the same clothes. Nobody is away for as long as
    2 s.

    Args:
        seed: Random seed.
        number: Of the scene.
        seconds: Length.

    Yields:
        ``(H, W, 3)`` uint8 RGB, and the people who are seen at all, by id.
    """
    rng = np.random.default_rng([seed, number])
    width, height = SCENE_SIZE
    view = _view(width, height)
    light = draw_light(rng, view)
    background = draw_background(rng, view, np.array([0.0, 900.0, 0.0]), ())
    finish = Finish.draw(rng)
    count, frames = 2 + number % 4, round(seconds * SCENE_FPS)
    pillar = _Pillar.draw(rng) if number % 3 == 0 else None
    bodies = [_dressed(rng) for _ in range(count)]
    if number % 4 == 1:
        bodies[1] = bodies[0]
    walkers = []
    for lane, (body, outfit) in enumerate(bodies):
        depth = lane / max(count - 1, 1)
        tall = (_HEIGHTS[0] + depth * (_HEIGHTS[1] - _HEIGHTS[0])) * height
        steps = _cycle(body, outfit, light, tall)
        places = _places(rng, frames, steps[0].shape[1], tall, pillar)
        ground = (_FEET[0] + depth * (_FEET[1] - _FEET[0])) * height
        walkers.append(_Walker(steps, places, ground))
    for frame in range(frames):
        picture, layers = background.copy(), []
        for walker in reversed(walkers):
            layer = walker.paste(frame, SCENE_SIZE)
            picture = picture * (1 - layer[..., 3:]) + layer[..., :3]
            layers.insert(0, layer[..., 3])
        covered = np.zeros((height, width), np.float32)
        if pillar is not None:
            covered[:, pillar.columns] = 1
            picture[:, pillar.columns] = pillar.texture
        seen = []
        for person, (walker, cover) in enumerate(zip(walkers, layers, strict=True)):
            own = cover * (1 - covered)
            covered = np.maximum(covered, cover)
            share = float(own.sum() / walker.steps[0][..., 3].sum())
            if (own > 0.5).any():
                seen.append(Seen(person, _box(own), min(share, 1.0)))
        yield finish(np.random.default_rng([seed, number, frame]), picture), seen


def make_scenes(
    out: str | Path,
    scenes: int,
    seed: int = 0,
    seconds: float = SCENE_SECONDS,
    on_frame: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write videos of scenes, see :func:`draw_scene`, and the table of their people.

    Args:
        out: Folder.
        scenes: How many.
        seed: Random seed.
        seconds: Length of each.
        on_frame: Called with the frames done and their total.

    Returns:
        The videos; ``people.csv`` is beside them.

    Raises:
        PoseActError: A number is out of range, or the files cannot be written.
    """
    count = round(seconds * SCENE_FPS)
    if scenes < 1 or count < 1 or seed < 0:
        raise PoseActError(
            f"{scenes} scenes of {seconds:g} s of the seed {seed} were asked for; give at least "
            "one scene, one frame and the seed 0."
        )
    out = Path(out)
    open_folder(out)
    rows, videos = [], []
    for number in range(scenes):
        videos.append(out / f"scene-{number:02d}.mp4")
        with VideoWriter(videos[-1], SCENE_FPS, *SCENE_SIZE) as writer:
            for frame, (picture, seen) in enumerate(draw_scene(seed, number, seconds)):
                writer.write(picture)
                for person, box, visible in seen:
                    corners = (f"{value:g}" for value in box)
                    rows.append((videos[-1].name, frame, person, *corners, f"{visible:.3f}"))
                if on_frame is not None:
                    on_frame(number * count + frame + 1, scenes * count)

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([TRUTH_COLUMNS, *rows])

    atomic_write(out / TRUTH_TABLE, write)
    return videos


class _Pillar(NamedTuple):
    columns: slice
    texture: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Pillar:
        width, height = SCENE_SIZE
        wide = round(0.24 * width)
        left = round(rng.uniform(0.25, 0.45) * width)
        tile = cv2.resize(draw_tile(rng), (wide, height))
        return cls(slice(left, left + wide), tile)

    @property
    def edges(self) -> tuple[int, int]:
        return self.columns.start, self.columns.stop


def _view(width: int, height: int) -> View:
    """A level camera, as high as a person's chest, 6 m in front."""
    turn = np.diag([1.0, -1.0, -1.0])
    camera = Camera((height * 3.0, height * 3.0), (width / 2, height / 2))
    return View(np.array([0.0, 950.0, 6000.0]), turn, camera, width, height)


def _dressed(rng: np.random.Generator) -> tuple[Body, Outfit]:
    shape, female = draw_shape(rng, "validation")
    outfit = draw_outfit(rng, female)
    return Body(shape, outfit.padding(template())), outfit


def _cycle(body: Body, outfit: Outfit, light: Light, tall: float) -> list[np.ndarray]:
    """Pictures of a person through a cycle of steps, of a height in px."""
    view = _view(_PERSON_PX * 3 // 4, _PERSON_PX)
    angles, roots = recordings()[_CYCLE]
    turn = rotation("y", 75.0)
    nothing = np.zeros((view.height, view.width, 3), np.float32)
    layers = []
    for own, root in zip(angles, roots, strict=True):
        picture = render(on_floor(body.pose(own, turn @ root)), outfit, [], light, view, nothing)
        layers.append(np.dstack((picture.rgb, picture.person)))
    covers = np.max([layer[..., 3] for layer in layers], 0)
    x0, y0, x1, y1 = _box(covers).astype(int)
    scale = tall / (y1 - y0)
    size = round((x1 - x0) * scale), round(tall)
    area = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return [cv2.resize(layer[y0:y1, x0:x1], size, interpolation=area) for layer in layers]


def _places(
    rng: np.random.Generator, frames: int, wide: int, tall: float, pillar: _Pillar | None
) -> np.ndarray:
    """``(T,)`` px: from side to side, out of the picture or not, with a stop behind the pillar."""
    width = SCENE_SIZE[0]
    speed = rng.uniform(*_SPEED) * tall / SCENE_FPS
    left, right = (0.3 * width, 0.7 * width) if pillar is None else pillar.edges
    middle, hide_at = (left + right) / 2, np.inf if pillar is None else rng.uniform(0, 0.4) * frames
    places, to_right = [rng.uniform(0.1, 0.9) * width], rng.random() < 0.5

    def walk(goal: float, wait: float) -> None:
        count = max(round(abs(goal - places[-1]) / speed), 1)
        places.extend(np.linspace(places[-1], goal, count + 1)[1:].tolist())
        places.extend([goal] * round(max(wait, 0)))

    while len(places) < frames:
        if rng.random() < 0.5:
            beyond = 0.55 * wide
            wait = rng.uniform(*_AWAY_S) * SCENE_FPS - 2 * beyond / speed
        else:
            room = (width - right if to_right else left) - 0.6 * wide
            low, high = sorted((0.6 * wide, room))
            beyond = -rng.uniform(low, high)
            wait = rng.uniform(*_STAND_S) * SCENE_FPS
        goal = width + beyond if to_right else -beyond
        passes = (places[-1] - middle) * (goal - middle) < 0
        if passes and len(places) + abs(middle - places[-1]) / speed > hide_at:
            walk(middle, _HIDDEN_S * SCENE_FPS - (right - left - wide) / speed)
            hide_at = np.inf
        walk(goal, wait)
        to_right = not to_right
    return np.array(places[:frames])


def _box(cover: np.ndarray) -> np.ndarray:
    """``(4,)`` box around the pixels covered by more than half."""
    rows, columns = (np.flatnonzero((cover > 0.5).any(axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
