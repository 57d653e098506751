"""Draw the default weights' poses on held-out public-domain photos, for the README and model card.

python tools/make_pictures.py ../shared/data/exercise_photos docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from train_tiny import split_exercises

import poseact
from poseact.data.blazepose import read_blazepose
from poseact.data.sample import PoseSample
from poseact.inference.run import draw_people
from poseact.media import read_image, write_image
from poseact.metrics import pck, torso_size
from poseact.skeleton import PA16

HEIGHT, WIDTH = 240, 320
THRESHOLD = 0.2


def tile(sample: PoseSample, predictor: poseact.Predictor) -> tuple[np.ndarray, float]:
    """A drawn photo, and the share of its labelled joints that are right; no box is given."""
    image = read_image(sample.image)
    poses = predictor.image(image)
    joints, visible = sample.joints[None, :, :2], sample.visible[None]
    scale = torso_size(joints, visible, PA16)
    right = pck(poses[0].joints[None, :, :2], joints, visible, scale, THRESHOLD).mean
    drawn = draw_people(image, poses, predictor)
    factor = min(HEIGHT / image.shape[0], WIDTH / image.shape[1])
    drawn = cv2.resize(drawn, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    top, left = (HEIGHT - drawn.shape[0]) // 2, (WIDTH - drawn.shape[1]) // 2
    canvas[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return canvas, right


def grid(tiles: list[np.ndarray], columns: int = 4) -> np.ndarray:
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of blazepose.npz and images/")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    predictor = poseact.Predictor(device="cpu")
    _, held_out = split_exercises(read_blazepose(args.photos))
    results = [tile(sample, predictor) for sample in held_out]
    results = [result for result in results if np.isfinite(result[1])]
    results.sort(key=lambda result: result[1])
    # Evenly from the better half for a first look; the worst for the model card.
    better = results[len(results) // 2 :]
    step = len(better) // 8
    write_image(args.out / "poses.jpg", grid([image for image, _ in better[::step][:8]]))
    write_image(args.out / "worst.jpg", grid([image for image, _ in results[:8]]))


if __name__ == "__main__":
    main()
