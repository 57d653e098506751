"""Average the weights of several runs of one recipe, each started from the one before.

    python tools/average_weights.py recipes/small-open.yaml runs/{1,2,3}/small-open.safetensors \
        -o runs/mean/small-open.safetensors

The mean is often better than each of them (Wortsman et al., 2022). Its confidence is calibrated
anew on the people that the recipe names for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import torch

import poseact
from poseact.models.base import Network
from poseact.recipe import load_recipe
from poseact.training.confidence import calibrate_confidence


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("weights", type=Path, nargs="+", help="of the runs, in their order")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    recipe = load_recipe(args.recipe)
    mean = average([poseact.load(path) for path in args.weights])
    people = chain.from_iterable(
        spec.read(recipe.skeleton) for spec in recipe.data.calibration.values()
    )
    calibrate_confidence(mean, list(people))
    poseact.save(mean, args.out)


def average(networks: Sequence[Network]) -> Network:
    """The last network with the mean of the weights of all, which its card says."""
    mean = networks[-1]
    with torch.no_grad():
        for parts in zip(*(network.state_dict().values() for network in networks), strict=True):
            if parts[-1].is_floating_point():
                parts[-1].copy_(torch.stack([part.double() for part in parts]).mean(0))
    known = mean.card.provenance
    weights = f"mean of {len(networks)} runs, the last: {known.get('weights', 'unknown')}"
    mean.card = replace(mean.card, provenance={**known, "weights": weights})
    return mean


if __name__ == "__main__":
    main()
