"""Accuracy of trained and of instant heads after few clips of each action, over several seeds.

    python benchmarks/measure_few_clips.py ../shared/data/clips --cache poseact-actions/cache

The clips are checked and split as ``poseact train-actions`` does; the test clips of a seed are the
same for all rows.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

import poseact
from poseact.clips.check_clips import check_clips
from poseact.clips.copies import join_recordings
from poseact.clips.learning_curve import at_most
from poseact.data.split import split_by_recording
from poseact.evaluation.action_evaluation import evaluate
from poseact.models.multitask import MultitaskNetwork
from poseact.training.heads import train_heads
from poseact.training.instant import train_instant

STREAMS = ("pose", "appearance", "fused")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--weights", default="small-open")
    parser.add_argument("--cache", type=Path, default=Path("poseact-actions/cache"))
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 3, 5, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    network = poseact.load(args.weights)
    if not isinstance(network, MultitaskNetwork):
        parser.error(f"{args.weights} give no appearance features")
    check = check_clips(args.clips, network, args.cache)
    if check.interrupted:
        parser.exit(130, "Interrupted; the features of the clips read so far are kept.\n")
    sequences = join_recordings(check.sequences, check.copies)
    table = Table("clips per action, at most", "heads", "seeds, fused", *STREAMS)
    parts = [split_by_recording(sequences, 0.3, seed) for seed in range(args.seeds)]
    for count in args.counts:
        for kind in ("instant", "trained"):
            accuracies: list[list[float]] = []
            for seed, (train, test) in enumerate(parts):
                few = at_most(train, count, seed)
                if kind == "instant":
                    heads = train_instant(few, pose_network=network)
                else:
                    heads = train_heads(few, pose_network=network, seed=seed).network
                scores = evaluate(heads, test)
                accuracies.append([scores.stream(name).accuracy for name in STREAMS])
            means = map(statistics.mean, zip(*accuracies, strict=True))
            fused = ", ".join(f"{row[-1]:.3f}" for row in accuracies)
            table.add_row(str(count), kind, fused, *(f"{mean:.3f}" for mean in means))
    Console().print(table)


if __name__ == "__main__":
    main()
