"""Random people, from the shape of the body to the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from poseact.data.camera import Camera
from poseact.synthetic.background import draw_background
from poseact.synthetic.body import Body, Posed, Shape, template
from poseact.synthetic.clothes import draw_outfit
from poseact.synthetic.families import Part
from poseact.synthetic.joints import SYNTHETIC, joints_of
from poseact.synthetic.motion import draw_motion
from poseact.synthetic.render import render
from poseact.synthetic.scene import draw_clutter, draw_light, draw_props, draw_view

_SEATED = ("sit",)


@dataclass(frozen=True)
class Frame:
    """A finished picture and its labels.

    Attributes:
        rgb: ``(H, W, 3)`` uint8.
        joints: ``(J, 2)`` px of the joints of ``SYNTHETIC``.
        depth_mm: ``(J,)`` behind the pelvis.
        visible: ``(J,)`` boolean.
        camera: It took the picture.
        root_depth_mm: Of the pelvis in front of the camera.
        box: Around what is seen of the person, px.
        area: Of what is seen of the person, px.
        body: What the body is made of, see :class:`~poseact.synthetic.body.Shape`.
        motion: Name of the recording or family.
    """

    rgb: np.ndarray
    joints: np.ndarray
    depth_mm: np.ndarray
    visible: np.ndarray
    camera: Camera
    root_depth_mm: float
    box: tuple[float, float, float, float]
    area: float
    body: dict[str, float]
    motion: str


def draw_sequence(
    rng: np.random.Generator, part: Part, frames: int, size: int, photos: tuple[Path, ...]
) -> Iterator[Frame]:
    """Frames of one person with one camera.

    Args:
        rng: Random generator.
        part: Whose bodies, motions and cameras are drawn.
        frames: How many.
        size: Longest side of the pictures in px.
        photos: For the background; may be empty.
    """
    shape, female = draw_shape(rng, part)
    outfit = draw_outfit(rng, female)
    body = Body(shape, outfit.padding(template()))
    motion = draw_motion(rng, part, frames, body)
    poses = [
        on_floor(body.pose(angles, root), motion.lift)
        for angles, root in zip(motion.angles, motion.roots, strict=True)
    ]
    seen = template().group("body")[::7]
    points = np.concatenate([posed.vertices[seen] for posed in poses])
    view = draw_view(rng, part, points, size)
    light = draw_light(rng, view)
    target = points.mean(0)
    background = draw_background(rng, view, target, photos)
    clutter = draw_clutter(rng, view, target)
    finish = Finish.draw(rng)
    props, grain = (int(seed) for seed in rng.integers(0, 2**32, 2))
    places = [dict(zip(SYNTHETIC.joints, joints_of(posed), strict=True)) for posed in poses]
    for number, posed in enumerate(poses):
        own = draw_props(
            np.random.default_rng(props), view, places[0], places[number], motion.name in _SEATED
        )
        picture = render(posed, outfit, clutter + own, light, view, background)
        pelvis = picture.depth[SYNTHETIC.index("pelvis")]
        yield Frame(
            rgb=finish(np.random.default_rng([grain, number]), picture.rgb),
            joints=picture.joints,
            depth_mm=picture.depth - pelvis,
            visible=picture.visible,
            camera=view.camera,
            root_depth_mm=float(pelvis),
            box=_box(picture.person, picture.joints),
            area=round(float(picture.person.sum()), 1),
            body=shape.described(),
            motion=motion.name,
        )


def draw_shape(rng: np.random.Generator, part: Part) -> tuple[Shape, bool]:
    """A body of a part, and whether it is female.

    Those that are both strong and heavy, or both weak and light, are of the validation part alone.
    """
    female = bool(rng.random() < 0.5)
    gender = "female" if female else "male"
    origins = rng.dirichlet([0.6, 0.6, 0.6])
    targets = {
        f"{origin}-{gender}-young": float(share)
        for origin, share in zip(("african", "asian", "caucasian"), origins, strict=True)
    }
    strong, heavy = rng.uniform(0, 1, 2) ** 1.3 * (-1) ** int(rng.integers(2))
    if part == "train":
        heavy = -heavy
    common = f"universal-{gender}-young"
    targets[f"{common}-averagemuscle-averageweight"] = 1.0
    for value, low, high in (
        (strong, "minmuscle-averageweight", "maxmuscle-averageweight"),
        (heavy, "averagemuscle-minweight", "averagemuscle-maxweight"),
    ):
        targets[f"{common}-{high if value > 0 else low}"] = float(abs(value))
    tall = 1.07 if female else 1.0
    return (
        Shape(
            targets,
            float(np.clip(tall * rng.normal(1, 0.05), 0.88, 1.2)),
            float(np.clip(rng.normal(1, 0.05), 0.88, 1.12)),
            float(np.clip(rng.normal(1, 0.05), 0.88, 1.12)),
        ),
        female,
    )


def on_floor(posed: Posed, lift: float = 0.0) -> Posed:
    """The body, shifted so that its lowest point is at a height above the floor."""
    low = posed.vertices[template().group("body"), 1].min()
    shift = np.array([0, lift - low, 0], np.float32)
    return Posed(posed.vertices + shift, posed.normals, posed.joints + shift)


def _box(person: np.ndarray, joints: np.ndarray) -> tuple[float, float, float, float]:
    """Around the silhouette; around the joints where nothing of it is seen."""
    rows, columns = (np.flatnonzero((person > 0.5).any(axis)) for axis in (1, 0))
    if not len(rows):
        (x0, y0), (x1, y1) = joints.min(0).tolist(), joints.max(0).tolist()
        return x0, y0, x1, y1
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@dataclass(frozen=True)
class Finish:
    """Degradation of a picture by the camera and its file.

    Attributes:
        blur: Standard deviation in px.
        noise: Standard deviation, of 1.
        gamma: Exponent.
        gain: ``(3,)`` of the colours.
        saturation: 0 is grey.
    """

    blur: float
    noise: float
    gamma: float
    gain: np.ndarray
    saturation: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Finish:
        """A random finish."""
        return cls(
            blur=rng.choice([0.0, rng.uniform(0.3, 1.2)]),
            noise=rng.choice([0.0, rng.uniform(0.004, 0.05)]),
            gamma=np.exp(rng.normal(0, 0.2)),
            gain=np.exp(rng.normal(0, 0.06, 3)),
            saturation=0.0 if rng.random() < 0.05 else rng.uniform(0.5, 1.1),
        )

    def __call__(self, rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` float in 0 … 1 to uint8."""
        out = np.clip(rgb, 0, 1).astype(np.float32) ** np.float32(self.gamma)
        grey = out.mean(-1, keepdims=True)
        out = (grey + (out - grey) * self.saturation) * self.gain
        if self.blur > 0.3:
            out = cv2.GaussianBlur(out, (0, 0), self.blur)
        if self.noise:
            out = out + rng.normal(0, self.noise, out.shape)
        return np.clip(np.round(out * 255), 0, 255).astype(np.uint8)
