"""Cameras, lights and objects around a person; all in mm, y up, the floor at 0."""

from dataclasses import dataclass

import numpy as np

from poseact.data.camera import Camera
from poseact.synthetic.angles import rotation
from poseact.synthetic.families import Part
from poseact.synthetic.texture import draw_colour

# Distances of the camera in mm; the validation part has a range of its own.
_DISTANCES = {"train": ((1900, 3400), (4400, 9000)), "validation": ((3400, 4400),)}

_UP = np.array([0.0, 1.0, 0.0])
_SEAT_BELOW = 115.0  # mm below the middle of the hips


@dataclass(frozen=True)
class View:
    """A camera in the world.

    Attributes:
        place: ``(3,)`` where it is.
        turn: ``(3, 3)`` from the world's axes to the camera's (x right, y down, z forward).
        camera: Its projection.
        width: Of the picture, px.
        height: Of the picture, px.
    """

    place: np.ndarray
    turn: np.ndarray
    camera: Camera
    width: int
    height: int

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """``(..., 3)`` from the world's axes to the camera's."""
        return (points - self.place) @ self.turn.T

    def rays(self) -> np.ndarray:
        """``(H, W, 3)`` directions of the pixels in the world, of depth 1 along the view."""
        x = (np.arange(self.width) + 0.5 - self.camera.centre[0]) / self.camera.focal[0]
        y = (np.arange(self.height) + 0.5 - self.camera.centre[1]) / self.camera.focal[1]
        grid = np.stack((*np.meshgrid(x, y), np.ones((self.height, self.width))), -1)
        return (grid @ self.turn).astype(np.float32)


def draw_view(rng: np.random.Generator, part: Part, points: np.ndarray, size: int) -> View:
    """A random camera that looks at a person.

    Args:
        rng: Random generator.
        part: Its distances are used.
        points: ``(N, 3)`` of the person in all frames.
        size: Longest side of the picture in px.
    """
    low, high = points.min(0), points.max(0)
    target = (low + high) / 2
    ranges = _DISTANCES[part]
    distance = rng.uniform(*ranges[rng.integers(len(ranges))])
    elevation = np.clip(rng.normal(6, 14), -20, 65)
    back = rotation("y", rng.uniform(0, 360)) @ rotation("x", -elevation) @ [0, 0, distance]
    place = target + back
    place[1] = max(place[1], 120.0)
    roll = rng.normal(0, 4) if rng.random() < 0.85 else rng.uniform(-30, 30)
    turn = rotation("z", roll) @ _look(target - place)
    box = _box(points, place, turn)
    aspect = np.clip((box[2] - box[0]) / (box[3] - box[1]) * np.exp(rng.normal(0, 0.25)), 0.45, 2.2)
    width, height = (size, round(size / aspect)) if aspect > 1 else (round(size * aspect), size)
    fill = rng.uniform(0.55, 0.95) if rng.random() < 0.85 else rng.uniform(0.4, 1.35)
    # Aim beside the person, who stays in the picture or is cut by its edge.
    centre = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    focal = _focal(box, width, height, fill)
    play = abs(1 - fill) / 2 * np.array([width, height]) / focal
    aim = np.array([*(centre + rng.uniform(-1, 1, 2) * play), 1.0])
    turn = rotation("z", roll) @ _look(aim @ turn)
    focal = _focal(_box(points, place, turn), width, height, fill)
    return View(place, turn, Camera((focal, focal), (width / 2, height / 2)), width, height)


def _look(direction: np.ndarray) -> np.ndarray:
    """Rotation of an upright camera that looks along a direction."""
    z = direction / np.linalg.norm(direction)
    x = np.cross(z, [0.0, 1.0, 0.0])
    x /= np.linalg.norm(x)
    return np.stack((x, np.cross(z, x), z))


def _box(points: np.ndarray, place: np.ndarray, turn: np.ndarray) -> np.ndarray:
    seen = (points - place) @ turn.T
    plane = seen[:, :2] / np.maximum(seen[:, 2:], 100.0)
    return np.concatenate((plane.min(0), plane.max(0)))


def _focal(box: np.ndarray, width: int, height: int, fill: float) -> float:
    return float(fill * min(width / (box[2] - box[0]), height / (box[3] - box[1])))


@dataclass(frozen=True)
class Light:
    """A distant light and ambient light.

    Attributes:
        direction: ``(3,)`` towards the light.
        key: ``(3,)`` RGB strength.
        ambient: ``(3,)`` RGB strength from above.
        bounce: ``(3,)`` RGB strength from below.
    """

    direction: np.ndarray
    key: np.ndarray
    ambient: np.ndarray
    bounce: np.ndarray

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """``(N, 3)`` RGB intensity on surfaces with ``(N, 3)`` normals."""
        up = normals[:, 1:2] * 0.5 + 0.5
        facing = np.maximum((normals @ self.direction.astype(np.float32) + 0.15) / 1.15, 0)
        return (
            self.bounce + up * (self.ambient - self.bounce) + facing[:, None] * self.key
        ).astype(np.float32)


def draw_light(rng: np.random.Generator, view: View) -> Light:
    """A random light, mostly from the camera's side."""
    azimuth = np.degrees(np.arctan2(view.place[0], view.place[2])) + rng.normal(0, 70)
    across = rotation("y", azimuth) @ rotation("x", -rng.uniform(10, 80)) @ [0, 0, 1]
    warmth = np.exp(rng.normal(0, 0.08, 3))
    key = rng.uniform(0.15, 1.0)
    ambient = np.clip(1.15 - key + rng.normal(0, 0.15), 0.2, 1.1)
    sky = np.exp(rng.normal(0, 0.06, 3))
    return Light(across, key * warmth, ambient * sky, ambient * rng.uniform(0.3, 0.8) * warmth)


@dataclass(frozen=True)
class Solid:
    """An object of triangles of one colour.

    Attributes:
        vertices: ``(V, 3)``.
        normals: ``(V, 3)``.
        triangles: ``(F, 3)``.
        colour: ``(3,)`` RGB in 0 … 1.
    """

    vertices: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    colour: np.ndarray


def box(centre: np.ndarray, size: np.ndarray, turn: np.ndarray, colour: np.ndarray) -> Solid:
    """A box of edges ``size`` ``(3,)`` about its ``centre`` ``(3,)``."""
    vertices, normals, triangles = [], [], []
    for axis in range(3):
        for sign in (1.0, -1.0):
            normal = np.zeros(3)
            normal[axis] = sign
            u, v = np.roll(np.eye(3), 1, 0)[axis], np.roll(np.eye(3), 2, 0)[axis]
            v = v * np.sign(np.cross(u, v) @ normal)
            start = len(vertices)
            vertices += [normal + a * u + b * v for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            normals += [normal] * 4
            triangles += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    corners = np.array(vertices) * np.asarray(size) / 2
    return Solid(corners @ turn.T + centre, np.array(normals) @ turn.T, np.array(triangles), colour)


def tube(
    a: np.ndarray, b: np.ndarray, radii: tuple[float, ...], colour: np.ndarray, sides: int = 12
) -> Solid:
    """A tube from point ``a`` to ``b`` with radii at evenly spaced points."""
    along = (b - a) / np.linalg.norm(b - a)
    across = np.cross(along, [0.0, 1.0, 0.0] if abs(along[1]) < 0.9 else [1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * np.cross(along, across)
    steps = np.linspace(0, 1, len(radii))
    rings = [a + s * (b - a) + r * ring for s, r in zip(steps, radii, strict=True)]
    slope = -np.gradient(np.array(radii), steps * np.linalg.norm(b - a))
    normals = [ring + s * along for s in slope]
    vertices = np.concatenate((*rings, a[None], b[None]))
    normals = np.concatenate((*normals, -along[None], along[None]))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    first, last = len(vertices) - 2, len(vertices) - 1
    i, j = np.arange(sides), (np.arange(sides) + 1) % sides
    triangles = [
        part
        for k in range(0, (len(radii) - 1) * sides, sides)
        for part in (
            np.stack((k + i, k + j, k + sides + j), 1),
            np.stack((k + i, k + sides + j, k + sides + i), 1),
        )
    ]
    end = (len(radii) - 1) * sides
    triangles.append(np.stack((np.full(sides, first), j, i), 1))
    triangles.append(np.stack((np.full(sides, last), end + i, end + j), 1))
    return Solid(vertices, normals, np.concatenate(triangles), colour)


def ball(centre: np.ndarray, radius: float, colour: np.ndarray) -> Solid:
    """A sphere."""
    angles = np.linspace(0.05, np.pi - 0.05, 9)
    # The rings of a sphere are unevenly spaced, so those of an even tube are moved.
    top = np.array([0, radius, 0])
    out = tube(centre - top, centre + top, (1.0,) * 9, colour, 14)
    rings = out.vertices[:-2].reshape(9, 14, 3)
    around = (rings - rings.mean(1, keepdims=True)) * np.sin(angles)[:, None, None] * radius
    around[..., 1] -= (np.cos(angles) * radius)[:, None]
    vertices = np.concatenate((around.reshape(-1, 3) + centre, out.vertices[-2:]))
    return Solid(vertices, (vertices - centre) / radius, out.triangles, colour)


def draw_clutter(rng: np.random.Generator, view: View, target: np.ndarray) -> list[Solid]:
    """Objects behind the person."""
    away = target - view.place
    away = away * [1, 0, 1] / np.linalg.norm(away[[0, 2]])
    aside = np.array([away[2], 0, -away[0]])
    out = []
    for _ in range(rng.poisson(2.5)):
        size = np.exp(rng.uniform(np.log(100), np.log(2200), 3))
        floor = target * [1, 0, 1] + away * rng.uniform(900, 5000) + aside * rng.normal(0, 1800)
        turn = rotation("y", rng.uniform(0, 360))
        if rng.random() < 0.65:
            out.append(box(floor + _UP * size[1] / 2, size, turn, draw_colour(rng)))
        else:
            radius = float(np.exp(rng.uniform(np.log(20), np.log(250))))
            out.append(
                tube(floor, floor + _UP * (size[1] + 300), (radius, radius), draw_colour(rng))
            )
    return out


Places = dict[str, np.ndarray]
"""Joints ``(3,)`` by name."""


def draw_props(
    rng: np.random.Generator, view: View, first: Places, joints: Places, seated: bool
) -> list[Solid]:
    """Objects in a person's hands, under them and in front of them, for one frame.

    Args:
        rng: Random generator; an equal one gives equal things in every frame of a clip.
        view: The camera, for what is in front.
        first: Joints in the first frame of the clip, which decide what there is.
        joints: Joints in this frame, to which it is attached.
        seated: Whether there may be a seat.
    """
    kind, colours = rng.random(), (draw_colour(rng) * 0.5, draw_colour(rng))
    out = _held(rng, kind, colours, first, joints)
    if seated and rng.random() < 0.7 and first["pelvis"][1] > _SEAT_BELOW + 60:
        pelvis = joints["pelvis"]
        top = max(pelvis[1] - _SEAT_BELOW, 10.0)
        size = np.array([rng.uniform(300, 1200), top, rng.uniform(300, 500)])
        turn = rotation("y", rng.uniform(0, 360))
        out.append(box(pelvis * [1, 0, 1] + _UP * top / 2, size, turn, colours[1]))
    if rng.random() < 0.12:  # something in front
        name = ("left_knee", "right_knee", "left_ankle", "right_ankle", "left_elbow", "right_elbow")
        behind = first[name[rng.integers(len(name))]]
        place = view.place + (behind - view.place) * rng.uniform(0.6, 0.85)
        size = np.exp(rng.uniform(np.log(60), np.log(450), 3))
        out.append(box(place, size, rotation("y", rng.uniform(0, 360)), draw_colour(rng)))
    return out


def _held(
    rng: np.random.Generator,
    kind: float,
    colours: tuple[np.ndarray, np.ndarray],
    first: Places,
    joints: Places,
) -> list[Solid]:
    """A barbell, dumbbells, a ball or a racket, or nothing, by ``kind`` in 0 … 1."""
    colour, other = colours
    hands = [joints["left_hand"], joints["right_hand"]]
    gap = np.linalg.norm(first["left_hand"] - first["right_hand"])
    if kind < 0.07 and 150 < gap < 1100:
        along = hands[1] - hands[0]
        along /= max(np.linalg.norm(along), 1e-6)
        reach = along * (rng.uniform(150, 500) + max(0, 800 - gap) / 2)
        ends = hands[0] - reach, hands[1] + reach
        plate = rng.uniform(60, 225)
        weights = [
            tube(end, end + sign * along * 60, (plate, plate), other * 0.5, 18)
            for end, sign in zip(ends, (1, -1), strict=True)
        ]
        return [tube(*ends, (14, 14), colour), *weights]
    if kind < 0.14:
        across = rotation("y", rng.uniform(0, 360)) @ [110, 0, 0]
        radii = (50, 50, 15, 15, 50, 50)
        return [tube(hand - across, hand + across, radii, colour) for hand in hands]
    if kind < 0.22:
        near = joints[("left_hand", "right_hand", "left_foot")[rng.integers(3)]]
        if rng.random() < 0.5:
            radius = rng.uniform(35, 130)
            away = rng.normal(0, 1, 3)
            away *= (radius + 40 + rng.exponential(150)) / np.linalg.norm(away)
            return [ball(near + away, radius, other)]
        end = near + rotation("y", rng.uniform(0, 360)) @ [0, 500, rng.uniform(-500, 500)]
        return [tube(near, end, (14, 14, rng.uniform(14, 60)), other)]
    return []
