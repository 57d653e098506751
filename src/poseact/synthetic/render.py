"""Renders a person and objects to a picture with labels."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from poseact.synthetic.body import Posed, template
from poseact.synthetic.clothes import Outfit
from poseact.synthetic.joints import flesh_mm, joints_of
from poseact.synthetic.scene import Light, Solid, View

SUPERSAMPLING = 2
_NEAR, _FAR = 100.0, 1e5
_ROUNDING = 5.0  # mm; the rasteriser re-encodes the depths that it is given
_GROUP_STEP = 0.1  # the decade of the first coordinate is the group
_REACH = 10.0  # dm; no rest pose is larger


@dataclass(frozen=True)
class Picture:
    """A rendered frame.

    Attributes:
        rgb: ``(H, W, 3)`` float32 in 0 … 1.
        person: ``(H, W)`` float32, the share of each pixel that shows the person.
        joints: ``(J, 2)`` px of the joints of ``SYNTHETIC``.
        depth: ``(J,)`` mm in front of the camera.
        visible: ``(J,)`` boolean.
    """

    rgb: np.ndarray
    person: np.ndarray
    joints: np.ndarray
    depth: np.ndarray
    visible: np.ndarray


def render(
    posed: Posed,
    outfit: Outfit,
    solids: list[Solid],
    light: Light,
    view: View,
    background: np.ndarray,
) -> Picture:
    """Render one frame.

    Args:
        posed: The body, its lowest point on or above the floor at y = 0.
        outfit: Skin, hair and clothes.
        solids: Other things.
        light: Lights them all.
        view: The camera.
        background: ``(H, W, 3)`` float32 in 0 … 1.
    """
    base = template()
    size = (view.height * SUPERSAMPLING, view.width * SUPERSAMPLING)
    quads = base.quads[outfit.faces(base)]
    triangles = np.concatenate((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]))
    places = view.to_camera(posed.vertices)
    depth = np.full(size, _FAR, np.float32)
    codes = rasterize(places, triangles, _coded(), view, depth)
    own = np.flatnonzero(depth < _FAR * 0.99)
    points, groups = _decoded(codes.reshape(-1, 3)[own])
    lit = rasterize(
        places, triangles, light.shade(posed.normals) / 2, view, np.full(size, _FAR, np.float32)
    )
    alone = depth.copy()
    rgb = _draw_solids(solids, light, view, depth)
    own = own[(seen := depth.ravel()[own] > alone.ravel()[own] - _ROUNDING)]
    rgb.reshape(-1, 3)[own] = outfit.paint(points[seen], groups[seen]) * lit.reshape(-1, 3)[own] * 2
    person = np.zeros(size, np.float32)
    person.ravel()[own] = 1
    small = (view.width, view.height)
    full = (depth < _FAR * 0.99).astype(np.float32)
    cover = cv2.resize(full, small, interpolation=cv2.INTER_AREA)[..., None]
    shade = _shadow(posed, triangles, light, view)
    out = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
    out += background * shade[..., None] * (1 - cover)
    joints = view.to_camera(joints_of(posed))
    pixels = view.camera.project(joints)
    return Picture(
        rgb=np.clip(out, 0, 1),
        person=cv2.resize(person, small, interpolation=cv2.INTER_AREA),
        joints=pixels,
        depth=joints[:, 2],
        visible=_visible(pixels, joints[:, 2], depth, view),
    )


def _draw_solids(solids: list[Solid], light: Light, view: View, depth: np.ndarray) -> np.ndarray:
    """``(h, w, 3)`` colours of solids where they are in front, see :func:`rasterize`."""
    if not solids:
        return np.zeros((*depth.shape, 3), np.float32)
    starts = np.cumsum([0, *(len(solid.vertices) for solid in solids)])
    triangles = [solid.triangles + start for solid, start in zip(solids, starts, strict=False)]
    colours = [light.shade(solid.normals) * solid.colour for solid in solids]
    return rasterize(
        view.to_camera(np.concatenate([solid.vertices for solid in solids])),
        np.concatenate(triangles),
        np.clip(np.concatenate(colours), 0, 1),
        view,
        depth,
    )


def rasterize(
    places: np.ndarray, triangles: np.ndarray, colours: np.ndarray, view: View, depth: np.ndarray
) -> np.ndarray:
    """Colours ``(h, w, 3)`` of the nearest surface; updates ``depth``, ``(h, w)`` mm.

    Args:
        places: ``(V, 3)`` in the camera's axes.
        triangles: ``(F, 3)``, counter-clockwise as seen from outside.
        colours: ``(V, 3)`` in 0 … 1.
        view: The camera.
        depth: What is there already.
    """
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_CW)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    out = np.zeros((*depth.shape, 3), np.float32)
    cv2.triangleRasterize(
        np.ascontiguousarray(places * [1, -1, -1], np.float32),  # OpenGL's axes
        np.ascontiguousarray(triangles, np.int32),
        np.ascontiguousarray(colours, np.float32),
        out,
        depth,
        np.eye(4, dtype=np.float32),
        2 * np.arctan2(view.height / 2, view.camera.focal[1]),
        _NEAR,
        _FAR,
        settings,
    )
    return out


@cache
def _coded() -> np.ndarray:
    """``(V, 3)`` colours that encode the place in the rest pose and the group of faces."""
    base = template()
    codes = (base.vertices + _REACH) / (2 * _REACH)
    codes[:, 0] = (base.vertex_groups + codes[:, 0]) * _GROUP_STEP
    return codes.astype(np.float32)


def _decoded(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places ``(N, 3)`` in dm and groups ``(N,)`` from their ``(N, 3)`` colours."""
    first = codes[:, 0] / _GROUP_STEP
    groups = np.floor(first)
    points = np.stack((first - groups, codes[:, 1], codes[:, 2]), 1) * (2 * _REACH) - _REACH
    return points, groups.astype(int)


def _shadow(posed: Posed, triangles: np.ndarray, light: Light, view: View) -> np.ndarray:
    """``(H, W)`` share of the light that reaches the floor past the person."""
    toward = light.direction / max(light.direction[1], 0.15)
    flat = posed.vertices - posed.vertices[:, 1:2] * toward
    flat[:, 1] = 0
    places = view.to_camera(flat)
    depth = np.full((view.height, view.width), _FAR, np.float32)
    if places[:, 2].min() < _NEAR:
        return np.ones_like(depth)
    both = np.concatenate((triangles, triangles[:, ::-1]))
    rasterize(places, both, np.zeros_like(places), view, depth)
    dark = (depth < _FAR * 0.99).astype(np.float32)
    soft = cv2.GaussianBlur(dark, (0, 0), 0.012 * max(depth.shape))
    strength = light.key.mean() / (light.key.mean() + light.ambient.mean())
    return 1 - soft * np.clip(0.2 + strength, 0, 0.8)


def _visible(pixels: np.ndarray, depth: np.ndarray, surface: np.ndarray, view: View) -> np.ndarray:
    """``(J,)`` boolean: in the picture, and no farther behind the surface than in the flesh."""
    inside = ((pixels >= 0) & (pixels < [view.width, view.height])).all(1)
    at = np.clip((pixels * SUPERSAMPLING).astype(int), 0, np.array(surface.shape[::-1]) - 1)
    return inside & (depth - surface[at[:, 1], at[:, 0]] < flesh_mm())
