"""Pinhole cameras with lens distortion: from mm to px and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

Row = tuple[float, float, float]

_IDENTITY: tuple[Row, Row, Row] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

# Each iteration reduces the error to less than a third at the edge of usual lenses, so this many
# reach the precision of float64.
_STEPS = 30


@dataclass(frozen=True)
class Camera:
    """A camera looking along its +z; x to the right, y down, in mm.

    A point P of the world is at X = R (P - T) of the camera, and with x, y = X / Z and
    r2 = x x + y y its pixel is, by the formula that Human3.6M is calibrated with (unlike OpenCV's
    it does not double the tangential part of s),

        s = 1 + k1 r2 + k2 r2^2 + k3 r2^3 + p0 y + p1 x
        u = fx (s x + p1 r2) + cx
        v = fy (s y + p0 r2) + cy

    Attributes:
        focal: Focal lengths fx, fy in px.
        centre: Principal point cx, cy in px.
        rotation: Rows of R; by default the camera's axes are the world's.
        translation: T, the place of the camera in the world, in mm.
        radial: k1, k2, k3.
        tangential: p0, p1.

    Raises:
        ValueError: A number is not finite, or a focal length is 0.
    """

    focal: tuple[float, float]
    centre: tuple[float, float]
    rotation: tuple[Row, Row, Row] = _IDENTITY
    translation: Row = (0.0, 0.0, 0.0)
    radial: Row = (0.0, 0.0, 0.0)
    tangential: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        lens = (*self.focal, *self.centre, *self.radial, *self.tangential)
        place = (*chain(*self.rotation), *self.translation)
        if not all(map(math.isfinite, lens + place)) or 0 in self.focal:
            raise ValueError("a number of a camera is not finite, or its focal length is 0")

    @property
    def at_origin(self) -> Camera:
        """The same lens with the camera's own frame as the world."""
        return replace(self, rotation=_IDENTITY, translation=(0.0, 0.0, 0.0))

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """``(..., 3)`` mm of the world to ``(..., 3)`` mm of the camera's frame."""
        return (points - np.array(self.translation)) @ np.array(self.rotation).T

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """``(..., 3)`` mm of the camera's frame to ``(..., 3)`` mm of the world."""
        return points @ np.array(self.rotation) + np.array(self.translation)

    def project(self, points: np.ndarray) -> np.ndarray:
        """``(..., 3)`` mm of the world to ``(..., 2)`` px."""
        points = self.to_camera(points)
        return self._distort(points[..., :2] / points[..., 2:]) * self.focal + self.centre

    def unproject(self, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """``(..., 2)`` px and ``(...)`` depths in mm to ``(..., 3)`` mm of the world.

        Depths are along the camera's axis. Undoes :meth:`project`, distortion included.
        """
        plane = self._undistort((pixels - np.array(self.centre)) / self.focal)
        flat = plane * depth[..., None]
        return self.to_world(np.concatenate((flat, depth[..., None]), -1))

    def _distort(self, plane: np.ndarray) -> np.ndarray:
        """``(..., 2)`` x, y of the pinhole to those of the lens."""
        scale, shift = self._lens(plane)
        return scale * plane + shift

    def _undistort(self, lens: np.ndarray) -> np.ndarray:
        """``(..., 2)`` x, y of the lens to those of the pinhole, by fixed-point iteration."""
        plane = lens
        if not any((*self.radial, *self.tangential)):
            return plane
        for _ in range(_STEPS):
            scale, shift = self._lens(plane)
            plane = (lens - shift) / scale
        return plane

    def _lens(self, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(..., 1)`` scale s and ``(..., 2)`` shift of the distortion at x, y."""
        k1, k2, k3 = self.radial
        r2 = (plane**2).sum(-1, keepdims=True)
        swapped = np.array(self.tangential[::-1])
        tangential = (plane * swapped).sum(-1, keepdims=True)
        return 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + tangential, r2 * swapped
