"""Small generated data sets in the official layouts, for tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from poseact.skeleton import LSP14

# A standing person in a picture of 60 x 80 px, right side on the left.
STANDING = {
    "right_ankle": (24, 74), "right_knee": (25, 60), "right_hip": (26, 45),
    "left_hip": (34, 45), "left_knee": (35, 60), "left_ankle": (36, 74),
    "right_wrist": (16, 44), "right_elbow": (18, 34), "right_shoulder": (23, 22),
    "left_shoulder": (37, 22), "left_elbow": (42, 34), "left_wrist": (44, 44),
    "neck": (30, 19), "head": (30, 6),
}  # fmt: skip


def write_lsp_people(root: Path, count: int, seed: int = 0) -> np.ndarray:
    """Write an LSP-extended folder of drawn people; gives the ``(14, 3, count)`` labels."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    labels = np.ones((14, 3, count))
    for number in range(count):
        points = np.array([STANDING[joint] for joint in LSP14.joints], float)
        points += rng.normal(0, 2, points.shape)
        labels[:, :2, number] = points
        image = rng.integers(0, 120, (80, 60, 3), dtype=np.uint8)
        for a, b in LSP14.limb_indices:
            ends = [tuple(int(value) for value in points[place]) for place in (a, b)]
            cv2.line(image, *ends, (200, 180, 255), 3)
        cv2.imwrite(str(root / "images" / f"im{number + 1:05d}.jpg"), image)
    savemat(root / "joints.mat", {"joints": labels})
    return labels
