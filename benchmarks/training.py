"""Speed of a training run on this machine: images a second, wait for data, share of the peak.

    OMP_WAIT_POLICY=passive python benchmarks/training.py --out benchmarks/training.json

Renders a few synthetic people into a temporary folder and trains on them with the whole pipeline:
decoding, augmentation, loader, network, loss, optimiser. The peak is that of large float32 matrix
products, measured on all threads right before and after; training costs three times the arithmetic
of a prediction.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml
from forward import PRESETS, gflop, machine
from rich.console import Console
from rich.table import Table

from poseact._utils.files import replacing
from poseact.synthetic.make import make_synthetic

MATRIX = 1536
LOG_EVERY = 5


def peak_gflops(repeats: int = 8) -> float:
    a, b = torch.rand(MATRIX, MATRIX), torch.rand(MATRIX, MATRIX)
    torch.mm(a, b)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / statistics.median(seconds) / 1e9


def recipe(preset: str, data: Path, steps: int, batch: int) -> dict:
    return {
        "name": "speed",
        "licence": "none",
        "network": {"preset": preset},
        "data": {"train": {"synthetic": {"adapter": "synthetic", "root": str(data)}}},
        "steps": steps,
        "batch": batch,
    }


def train(folder: Path, content: dict, devices: int, workers: int) -> list[dict[str, str]]:
    """Rows of the run's log, without the first, which warms up."""
    path, out = folder / "recipe.yaml", folder / "run"
    path.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "poseact", "train", str(path), "--out", str(out)]
    options = {"devices": devices, "workers": workers, "log-every": LOG_EVERY}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    subprocess.run([*command, *flags], check=True)
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))[1:]


def measure(args: argparse.Namespace) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        make_synthetic(folder / "data", count=args.images, shard_size=args.images)
        rendered = args.images / (time.perf_counter() - start)
        peaks = [peak_gflops()]
        content = recipe(args.preset, folder / "data", args.steps, args.batch)
        rows = train(folder, content, args.devices, args.workers)
        peaks.append(peak_gflops())

    def median(column: str) -> float:
        return statistics.median(float(row[column]) for row in rows)

    speed, peak = median("images_per_second"), statistics.mean(peaks)
    return {
        "machine": machine(),
        "preset": args.preset,
        "image_size": PRESETS[args.preset]().image_size,
        "processes": args.devices,
        "batch": args.batch,
        "images_per_second": round(speed, 1),
        "wait_share": round(median("wait_share"), 4),
        "training_gflops": round(3 * gflop(args.preset) * speed, 1),
        "peak_gflops": round(peak, 1),
        "share_of_peak": round(3 * gflop(args.preset) * speed / peak, 3),
        "rendered_per_second": round(rendered, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--preset", default="tiny", choices=list(PRESETS))
    parser.add_argument("--devices", type=int, default=2, help="training processes")
    parser.add_argument("--workers", type=int, default=1, help="loader processes of each")
    parser.add_argument("--batch", type=int, default=16, help="of each process")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--images", type=int, default=100, help="people to render")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    result = measure(args)
    table = Table(title=", ".join(f"{key}: {value}" for key, value in result["machine"].items()))
    for name in ("quantity", "value"):
        table.add_column(name)
    for name, value in result.items():
        if name != "machine":
            table.add_row(name, str(value))
    Console().print(table)
    if args.out:
        with replacing(args.out) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
