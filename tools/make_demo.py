"""Make the demo clip that ships with the package from public-domain photos.

    python tools/make_demo.py ../shared/data/exercise_photos/images src/poseact/assets/demo.mp4

Each exercise is photographed at its start and its end; the clip alternates the two like
stop-motion, with a slow camera drift. The exercises are among those held out from training.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from poseact.media import VideoWriter, read_image
from poseact.media.crop import crop_matrix, warp_image

EXERCISES = ("Weighted_Jump_Squat", "Upright_Barbell_Row", "Wide_Stance_Barbell_Squat")
FPS = 15
HOLD = 9
FADE = 3
SIZE = 320


def phases(folder: Path, exercise: str) -> Iterator[np.ndarray]:
    start, end = (read_image(folder / f"{exercise}_{i}.jpg") for i in (0, 1))
    for a, b in ((start, end), (end, start)):
        for _ in range(HOLD):
            yield a
        for k in range(1, FADE + 1):
            share = k / (FADE + 1)
            yield ((1 - share) * a + share * b).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with VideoWriter(args.out, FPS, SIZE, SIZE) as video:
        for exercise in EXERCISES:
            for i, photo in enumerate(phases(args.photos, exercise)):
                height, width = photo.shape[:2]
                drift = 0.05 * np.sin(2 * np.pi * i / (2 * (HOLD + FADE)))
                side = height * (0.95 + drift)
                matrix = crop_matrix((width * (0.5 + drift / 2), height / 2, side))
                video.write(warp_image(photo, matrix, SIZE))


if __name__ == "__main__":
    main()
