"""Colours and patterns of cloth, floors and walls."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np


def draw_colour(rng: np.random.Generator) -> np.ndarray:
    """``(3,)`` RGB in 0 … 1, with greys, dark and light colours as frequent as in real clothes."""
    saturation = rng.choice([rng.uniform(0, 0.15), rng.uniform(0.15, 0.95)], p=[0.4, 0.6])
    return np.array(colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.04, 1) ** 0.8))


def noise(rng: np.random.Generator, size: int, finest: int, roughness: float = 0.6) -> np.ndarray:
    """``(size, size)`` smooth noise of about -1 … 1, summed over scales down to ``finest`` px."""
    out = np.zeros((size, size), np.float32)
    cells, strength = 2, 1.0
    while size // cells >= finest:
        grid = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
        out += cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC) * strength
        cells *= 2
        strength *= roughness
    return out / (np.abs(out).max() + 1e-6)


@dataclass(frozen=True)
class Pattern:
    """Colours as a function of a place in space.

    Attributes:
        colour: ``(3,)`` RGB in 0 … 1.
        other: The second colour, of stripes and the like.
        kind: How the two alternate.
        period: Distance of stripes, checks or blots in dm.
        grain: Strength of the fine unevenness of the colour.
        axis: ``(3,)`` direction across stripes.
        phase: Where they begin.
    """

    colour: np.ndarray
    other: np.ndarray | None = None
    kind: Literal["plain", "stripes", "checks", "blots"] = "plain"
    period: float = 1.0
    grain: float = 0.05
    axis: tuple[float, float, float] = (0.0, 1.0, 0.0)
    phase: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pattern:
        """A random pattern; half of all are plain."""
        kinds: tuple[Literal["plain", "stripes", "checks", "blots"], ...] = (
            *("plain", "stripes", "checks", "blots"),
        )
        kind = kinds[rng.choice(4, p=[0.55, 0.22, 0.08, 0.15])]
        axes = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.7, 0.7, 0.0))
        return cls(
            draw_colour(rng),
            draw_colour(rng),
            kind,
            float(np.exp(rng.uniform(np.log(0.3), np.log(2.5)))),
            rng.uniform(0, 0.15),
            axes[rng.choice(3, p=[0.6, 0.3, 0.1])],
            rng.uniform(0, 10),
        )

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """``(N, 3)`` colours at ``(N, 3)`` places in dm."""
        scaled = points / self.period + self.phase
        waves = np.sin(points * [[7.1, 5.3, 6.2]] + self.phase).sum(1, dtype=np.float32)
        waves += np.sin(points * [[23.0, 19.0, 29.0]] + self.phase).sum(1, dtype=np.float32)
        light = 1 + self.grain * waves[:, None] / 3
        if self.kind == "plain" or self.other is None:
            return self.colour * light
        if self.kind == "stripes":
            second = (scaled @ np.array(self.axis)) % 1 < 0.45
        elif self.kind == "checks":
            second = (np.floor(scaled).astype(int).sum(1) % 2).astype(bool)
        else:
            bent = scaled * 3 + np.sin(scaled[:, [1, 2, 0]] * 4.3)
            second = np.sin(bent).sum(1) > 0.5
        return np.where(second[:, None], self.other, self.colour) * light


def draw_tile(rng: np.random.Generator, size: int = 128) -> np.ndarray:
    """``(size, size, 3)`` float32 texture of a floor or a wall, in 0 … 1; it may be repeated."""
    colour, other = draw_colour(rng), draw_colour(rng)
    # Floors and walls are mostly dull.
    dull = rng.uniform(0, 0.8)
    colour, other = (c * (1 - dull) + c.mean() * dull for c in (colour, other))
    rough = noise(rng, size, int(rng.choice([2, 4, 16])), rng.uniform(0.4, 0.95))
    out = colour * (1 + rng.uniform(0.05, 0.5) * rough[..., None])
    kind = rng.choice(4, p=[0.45, 0.2, 0.2, 0.15])
    if kind == 1:  # boards or panels
        for edge in np.arange(0, size, int(rng.integers(8, 40))):
            out[:, edge : edge + 2] *= rng.uniform(0.3, 0.9)
            out[:, edge:] *= rng.uniform(0.93, 1.07)
    elif kind == 2:  # tiles or bricks
        step, ratio = int(rng.integers(10, 50)), rng.uniform(0.4, 1)
        across = max(int(step * ratio), 4)
        for row, top in enumerate(range(0, size, across)):
            out[top : top + 2] = other
            for left in range((row % 2) * step // 2, size, step):
                out[top : top + across, left : left + 2] = other
    elif kind == 3:  # blots of a second colour
        share = np.clip(noise(rng, size, 8) * 6 + rng.uniform(-2, 2), 0, 1)[..., None]
        out = out * (1 - share) + other * share
    return np.clip(out, 0, 1).astype(np.float32)
