"""Draw the default weights' poses on held-out public-domain photos, for the README.

python tools/make_pictures.py ../shared/data/exercise_photos docs/images/poses.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import poseact
from poseact.data.blazepose import read_blazepose
from poseact.data.sample import PoseSample
from poseact.inference.canvas import draw_people
from poseact.media import write_image
from poseact.media.drawing import picture_grid
from poseact.metrics import pck, torso_size

HEIGHT, WIDTH = 240, 320
COLUMNS, ROWS = 4, 2
THRESHOLD = 0.2


def tile(sample: PoseSample, predictor: poseact.Predictor) -> tuple[np.ndarray, float]:
    """A drawn photo, and the share of its labelled joints that are right; no box is given."""
    image = sample.image.read()
    poses = predictor.image(image)
    joints, valid = sample.joints[None, :, :2], sample.valid[None]
    scale = torso_size(joints, valid, sample.skeleton)
    right = pck(poses[0].joints[None, :, :2], joints, valid, scale, THRESHOLD).mean
    drawn = draw_people(image, poses, predictor)
    factor = min(HEIGHT / image.shape[0], WIDTH / image.shape[1])
    drawn = cv2.resize(drawn, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    top, left = (HEIGHT - drawn.shape[0]) // 2, (WIDTH - drawn.shape[1]) // 2
    canvas[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return canvas, right


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of blazepose.npz and images/")
    parser.add_argument("out", type=Path, help="picture to write")
    args = parser.parse_args()
    predictor = poseact.Predictor(device="cpu", people="one")
    samples = read_blazepose(args.photos, predictor.skeleton, part="held-out")
    results = [tile(sample, predictor) for sample in samples]
    results = [result for result in results if np.isfinite(result[1])]
    results.sort(key=lambda result: result[1])
    # Evenly from the better half, for a first look; model cards show the worst.
    better = [image for image, _ in results[len(results) // 2 :]]
    tiles = better[:: len(better) // (COLUMNS * ROWS)][: COLUMNS * ROWS]
    write_image(args.out, picture_grid(tiles, COLUMNS))


if __name__ == "__main__":
    main()
