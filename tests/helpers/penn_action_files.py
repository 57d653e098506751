"""Tiny data sets in the official layouts, with a person drawn on every picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from helpers.lsp_files import STANDING
from poseact.skeleton import LSP14, PENN13

SIZE = (60, 80)


def standing(joints, rng: np.random.Generator, shift: float = 0.0) -> np.ndarray:
    """``(J, 2)`` px of a person about whose joints chance decides a little."""
    places = dict(STANDING)
    places["nose"] = places["head"]
    points = np.array([places[joint] for joint in joints], float)
    return points + rng.normal(0, 1.5, points.shape) + [shift, 0]


def picture(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``(H, W, 3)`` a noisy picture with a person of LSP's joints."""
    width, height = SIZE
    image = rng.integers(0, 120, (height, width, 3), dtype=np.uint8)
    for a, b in LSP14.limb_indices:
        ends = [tuple(int(value) for value in points[place]) for place in (a, b)]
        cv2.line(image, *ends, (200, 180, 255), 3)
    return image


def write_penn_action(root: Path, actions: Sequence[str], videos: int = 4, frames: int = 6) -> None:
    """Write ``labels/0001.mat`` and ``frames/0001/000001.jpg`` …, half of them for training.

    Args:
        root: Folder of the data set.
        actions: Their names; the person moves along x in every second of them.
        videos: Of each action.
        frames: Of each video.
    """
    rng = np.random.default_rng(0)
    (root / "labels").mkdir(parents=True)
    number = 0
    for place, action in enumerate(actions):
        for video in range(videos):
            number += 1
            folder = root / "frames" / f"{number:04d}"
            folder.mkdir(parents=True)
            points = []
            for frame in range(frames):
                shift = 2.0 * frame if place % 2 else 0.0
                cv2.imwrite(
                    str(folder / f"{frame + 1:06d}.jpg"),
                    picture(standing(LSP14.joints, rng, shift), rng),
                )
                points.append(standing(PENN13.joints, rng, shift))
            # The columns have the person's right joint first.
            x, y = np.moveaxis(np.array(points)[:, list(PENN13.flip_indices)], -1, 0)
            savemat(
                root / "labels" / f"{number:04d}.mat",
                {
                    "action": action,
                    "pose": "front",
                    "x": x + 0.5,
                    "y": y + 0.5,
                    "visibility": np.ones_like(x),
                    "train": 1 if video % 2 == 0 else -1,
                    "bbox": np.tile([0.0, 0.0, *SIZE], (frames, 1)),
                    "dimensions": [SIZE[1], SIZE[0], frames],
                    "nframes": frames,
                },
            )
