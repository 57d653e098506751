"""Score MoveNet Lightning or Thunder as published, on the validation data of a recipe.

    python tools/score_movenet.py data/movenet/movenet-lightning.safetensors recipes/small-open.yaml

The published heads and MoveNet's own decoding (tests/helpers/movenet.py) on the upright crop around
each labelled person; prints PCK@0.2 of the torso over the 12 joints of arms and legs.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch

from poseact.data.augment import evaluation_crop
from poseact.evaluation.pose_results import PosePredictions
from poseact.evaluation.pose_scores import score_poses
from poseact.media.crop import to_frames, transform_points
from poseact.recipe import load_recipe
from poseact.skeleton import COCO17

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from helpers.movenet import PublishedMoveNet, decode_single

SIZES = {1.0: 192, 1.75: 256}


@torch.inference_mode()
def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("weights", type=Path, help="file of tools/convert_movenet.py")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", nargs="*", help="names of validation data (default all)")
    args = parser.parse_args()
    network = PublishedMoveNet.read(args.weights)
    size = SIZES[network.width]
    for name, spec in load_recipe(args.recipe).validation.items():
        if args.data and name not in args.data:
            continue
        samples = spec.read(COCO17)
        joints, scores = [], []
        for sample in samples:
            crop = evaluation_crop(sample.image.read(), sample, size)
            answer = decode_single(network(to_frames(torch.from_numpy(crop.image[None]))[:, 0]))
            places = answer[:, [1, 0]].numpy()
            joints.append(transform_points(np.linalg.inv(crop.matrix), places))
            scores.append(answer[:, 2].numpy())
        found = PosePredictions(
            np.stack(joints), np.full((len(samples), 17), np.nan), np.stack(scores), {}
        )
        score = score_poses(found, samples, data=name, testing=f"{args.weights.name} as published")
        logging.info("%s: %.1f %%", name, 100 * score.metrics["pck_limbs"].mean)


if __name__ == "__main__":
    main()
