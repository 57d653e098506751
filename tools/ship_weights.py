"""Put trained weights, with their scores, into the package as float16.

    poseact eval-pose runs/small-open/small-open.safetensors recipes/small-open.yaml --out score
    python tools/ship_weights.py runs/small-open/small-open.safetensors score/scores.json

They are named as the file is. Score them once more by that name, for the last digit may change, and
put them in again with these scores, so that the header says what the card says.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import poseact

ASSETS = Path(poseact.__file__).parent / "assets"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("weights", type=Path, help="file of a training run")
    parser.add_argument("scores", type=Path, help="scores.json of poseact eval-pose")
    args = parser.parse_args()
    network = poseact.load(args.weights)
    scores = json.loads(args.scores.read_text())["data"]
    provenance = {**network.card.provenance, "validation": scores}
    network.card = replace(network.card, provenance=provenance)
    poseact.save(network, ASSETS / args.weights.name, half=True)


if __name__ == "__main__":
    main()
