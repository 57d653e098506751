"""NTU RGB+D and J-HMDB in their official layouts, small, for tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

WIDTH, HEIGHT = 96, 54


def shade(number: int) -> int:
    """The grey of a frame, by which a test knows it again."""
    return 20 + 24 * number


def write_film(path: Path, frames: int) -> None:
    """An AVI of plain pictures, MPEG-4 as the data set's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter.fourcc(*"XVID")
    film = cv2.VideoWriter(str(path), codec, 30.0, (WIDTH, HEIGHT))
    for number in range(frames):
        film.write(np.full((HEIGHT, WIDTH, 3), shade(number), np.uint8))
    film.release()


def ntu_body(seed: int, shift: float = 0.0) -> np.ndarray:
    """``(25, 12)`` numbers of the joints of a body, all tracked."""
    rng = np.random.default_rng(seed)
    numbers = np.zeros((25, 12))
    numbers[:, :3] = rng.normal((shift, 0, 3), 0.3, (25, 3)).round(4)
    numbers[:, 3:5] = rng.uniform(100, 300, (25, 2)).round(2)
    numbers[:, 5:7] = rng.uniform(10, 50, (25, 2)).round(2)
    numbers[:, 11] = 2
    return numbers


def write_skeletons(path: Path, frames: list[list[np.ndarray]]) -> None:
    """One file: for each frame its bodies' ``(25, 12)`` numbers, the n-th being the same person."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for person, numbers in enumerate(bodies):
            lines += [f"7205759403794473{person} 0 1 1 1 1 0 0.02 -0.1 2", "25"]
            lines += [" ".join(f"{x:g}" for x in row[:11]) + f" {row[11]:.0f}" for row in numbers]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_ntu(root: Path, names: list[str], frames: int = 4) -> dict[str, list[np.ndarray]]:
    """Skeletons and videos of these names, with one body each.

    Returns:
        The numbers of each frame by name.
    """
    written = {}
    for seed, name in enumerate(names):
        numbers = [ntu_body(seed, 0.05 * frame) for frame in range(frames)]
        write_skeletons(
            root / "nturgb+d_skeletons" / f"{name}.skeleton", [[body] for body in numbers]
        )
        write_film(root / "nturgb+d_rgb" / f"{name}_rgb.avi", frames)
        written[name] = numbers
    return written


def write_jhmdb(root: Path, action: str, videos: dict[str, np.ndarray]) -> None:
    """Labels and pictures of videos of one action.

    Args:
        root: Folder of the data set.
        action: Its name.
        videos: ``(frames, 15, 2)`` px by the video's name.
    """
    for name, joints in videos.items():
        labels = root / "joint_positions" / action / name / "joint_positions.mat"
        labels.parent.mkdir(parents=True)
        world = joints.transpose(2, 1, 0)
        savemat(labels, {"pos_img": world, "pos_world": world / 100, "viewpoint": "S"})
        folder = root / "Rename_Images" / action / name
        folder.mkdir(parents=True)
        for number in range(len(joints)):
            picture = np.full((48, 64, 3), shade(number), np.uint8)
            cv2.imwrite(str(folder / f"{number + 1:05d}.png"), picture)
