"""Accuracy of the pose stream on public pose sequences, over several seeds.

    OMP_WAIT_POLICY=passive python benchmarks/actions.py penn utd --out benchmarks/actions.json

Reads ``data/penn_action_labels`` and ``data/utd_mhad`` in the folder ``$POSEACT_SHARED`` (by
default ``../shared``), trains on the official training part and scores the last epoch on the
official test part. The settings were chosen with ``--validate``, which trains and scores within the
training part: for UTD-MHAD subject 7 is held out, for Penn Action a fifth of every action's videos,
neighbours in number, for they may show the same person. A run that was stopped goes on where it
stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from poseact._utils.files import replacing
from poseact._utils.interrupt import StopRequest
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.sequences.registry import read_sequences
from poseact.evaluation.action_evaluation import ActionProtocol, evaluate
from poseact.models.presets import num_parameters
from poseact.runtime.cache import machine
from poseact.training.clip_augment import ClipAugment
from poseact.training.heads import HeadRecipe, train_heads

PROTOCOLS = {
    "centre": ActionProtocol("centre"),
    "multi": ActionProtocol("multi"),
    "multi, mirrored too": ActionProtocol("multi", flip=True),
}


@dataclass(frozen=True)
class DataSet:
    """Where sequences lie, and how heads are trained on them."""

    folder: str
    kind: str
    official: str
    held_out: str | None = None
    epochs: int = 30
    frames: int = 32
    fps: float = 15.0
    recipe: HeadRecipe = field(default_factory=HeadRecipe)

    @property
    def protocols(self) -> dict[str, ActionProtocol]:
        """Mirrored windows are scored where mirrored ones were trained on."""
        flips = self.recipe.augment.flip > 0
        return {name: how for name, how in PROTOCOLS.items() if flips or not how.flip}

    def parts(self, shared: Path, validate: bool) -> tuple[list[PoseSequence], list[PoseSequence]]:
        """Sequences to train on and to score on."""
        sequences = read_sequences(shared / "data" / self.folder, self.kind)
        train = [sequence for sequence in sequences if sequence.part == "train"]
        if not validate:
            return train, [sequence for sequence in sequences if sequence.part == "test"]
        held_out = [s for s in train if self._is_held_out(s, train)]
        names = {sequence.name for sequence in held_out}
        return [s for s in train if s.name not in names], held_out

    def _is_held_out(self, sequence: PoseSequence, train: Sequence[PoseSequence]) -> bool:
        if self.held_out is not None:
            return sequence.recording == self.held_out
        names = sorted(other.name for other in train if other.label == sequence.label)
        return 3 * len(names) // 5 <= names.index(sequence.name) < 4 * len(names) // 5


DATA = {
    "penn": DataSet("penn_action_labels", "penn", "the official flag", epochs=20),
    "utd": DataSet(
        "utd_mhad",
        "utd-mhad",
        "odd subjects to train, even ones to test",
        held_out="s7",
        # Many of its actions are told from one another by which hand moves which way.
        recipe=HeadRecipe(augment=ClipAugment(flip=0.0)),
    ),
}


def run(name: str, args: argparse.Namespace, stop: StopRequest, console: Console) -> dict | None:
    """Results of one data set; None if it was stopped."""
    data = DATA[name]
    train, test = data.parts(args.shared, args.validate)
    rows: list[dict[str, float]] = []
    protocol: dict[str, str] = {}
    parameters = 0
    for seed in range(args.seeds):
        folder = args.work / f"{name}-{'validation' if args.validate else 'test'}-{seed}"
        trained = train_heads(
            train,
            streams="pose",
            frames=data.frames,
            fps=data.fps,
            epochs=args.epochs or data.epochs,
            seed=seed,
            recipe=data.recipe,
            on_progress=lambda done, total, row: console.log(
                f"epoch {done} of {total}, loss {row['loss']:.3f}, {row['seconds']:.0f} s"
            ),
            stop=stop,
            out=folder,
        )
        if not trained.finished:
            console.print(f"Stopped; run it again to go on. The state lies in {folder}.")
            return None
        parameters = num_parameters(trained.network)
        row: dict[str, float] = {"seed": seed, "seconds": round(trained.record[-1]["seconds"])}
        for crop, how in data.protocols.items():
            scores = evaluate(trained.network, test, how)
            row[crop] = round(scores.stream("pose").accuracy, 4)
            protocol[crop] = scores.protocol
        console.print(f"{name}, seed {seed}: {row}")
        rows.append(row)
    split = "within the training part" if args.validate else data.official
    return {
        "split": f"{split}: {len(train)} to train, {len(test)} scored",
        "protocol": protocol,
        "epochs": args.epochs or data.epochs,
        "parameters": parameters,
        "runs": rows,
        "mean": {crop: round(statistics.mean(row[crop] for row in rows), 4) for crop in protocol},
        "machine": machine(),
    }


def show(name: str, result: dict, console: Console) -> None:
    table = Table(title=f"{name}; {result['split']}")
    columns = ("seed", *result["mean"], "seconds")
    for column in columns:
        table.add_column(column)
    for row in result["runs"]:
        table.add_row(*(str(row[column]) for column in columns))
    table.add_row("mean", *(str(result["mean"][crop]) for crop in result["mean"]), "")
    console.print(table)
    for crop, text in result["protocol"].items():
        console.print(f"{crop}: {text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("names", nargs="+", choices=list(DATA))
    parser.add_argument("--seeds", type=int, default=3, help="runs, seeded 0, 1, …")
    parser.add_argument("--epochs", type=int, help="instead of those of the data set")
    parser.add_argument("--validate", action="store_true", help="stay within the training part")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("POSEACT_SHARED", "../shared"))
    )
    parser.add_argument(
        "--work", type=Path, default=Path("poseact-out/benchmark-actions"), help="state of the runs"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write; others' results in it stay")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    console = Console()
    with StopRequest() as stop:
        for name in args.names:
            result = run(name, args, stop, console)
            if result is None:
                sys.exit(1)
            show(name, result, console)
            if args.out:
                former = json.loads(args.out.read_text()) if args.out.exists() else {}
                with replacing(args.out) as temporary:
                    temporary.write_text(json.dumps({**former, name: result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
