"""Turn a training run into weights that ship with the package.

    python tools/export_weights.py runs/tiny/last.pt runs/tiny/score/score.json \
        src/poseact/assets/tiny-research.safetensors

The checkpoint gets the averaged weights, and its header says where they come from and how they
score.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

import poseact
from poseact.models.base import Card

LICENCE = "research only (trained on LSP extended, whose photos are for research)"
DATA = [
    "LSP extended, im00001 to im08000: 14 joints by humans (Johnson and Everingham 2011; research)",
    "free-exercise-db photos, nine tenths of the exercises: 33 joints and depth by MediaPipe "
    "BlazePose full (photos public domain, machine labels)",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("run", type=Path, help="last.pt of train_tiny.py")
    parser.add_argument("score", type=Path, help="score.json of score_pose.py for this run")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    state = torch.load(args.run, weights_only=True)
    score = json.loads(args.score.read_text())
    network = poseact.create_model("tiny")
    network.load_state_dict(state["ema"])
    network.card = Card(
        "tiny",
        provenance={
            "weights": "tools/train_tiny.py, exponential moving average",
            "data": DATA,
            "steps": state["step"],
            "training_minutes": round(state["spent"] / 60, 1),
            "score": {name: score[name] for name in ("pck", "per_joint", "protocol", "images")},
        },
        licence=LICENCE,
    )
    poseact.save(network, args.out)


if __name__ == "__main__":
    main()
