"""Speed of a training, for benchmarks/speed.py: images a second, wait for data, share of the peak.

Renders a few synthetic people into a temporary folder and trains on them with the whole pipeline:
decoding, augmentation, loader, network, loss, optimiser. The peak is that of large float32 matrix
products, measured on all threads right before and after; training costs three times the arithmetic
of a prediction.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from measure_networks import gflop

from poseact.models.presets import PRESETS
from poseact.runtime.interface import has_bf16
from poseact.synthetic.make import make_synthetic

PRESET = "small"
# One process for each of two cores, which prepares its own pictures.
DEVICES, WORKERS, BATCH = 2, 0, 16
IMAGES = 100
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


def training(steps: int) -> dict[str, Any]:
    """Rates of a training of so many steps of two processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.perf_counter()
        make_synthetic(folder / "data", count=IMAGES, shard_size=IMAGES)
        rendered = IMAGES / (time.perf_counter() - begun)
        peaks = [peak_gflops()]
        precisions = ["32", "bf16"] if has_bf16() else ["32"]
        rows = {precision: _train(folder, steps, precision) for precision in precisions}
        peaks.append(peak_gflops())

    def medians(rows: list[dict[str, str]]) -> dict[str, float]:
        speed, wait = (
            statistics.median(float(row[column]) for row in rows)
            for column in ("images_per_second", "wait_share")
        )
        share = 3 * gflop(PRESET) * speed / statistics.mean(peaks)
        return {
            "images_per_second": round(speed, 1),
            "wait_share": round(wait, 4),
            "share_of_peak": round(share, 3),
        }

    return {
        "preset": PRESET,
        "image_size": PRESETS[PRESET]().image_size,
        "processes": DEVICES,
        "batch": BATCH,
        "precisions": {precision: medians(own) for precision, own in rows.items()},
        "rendered_per_second": round(rendered, 1),
    }


def _train(folder: Path, steps: int, precision: str) -> list[dict[str, str]]:
    """Rows of the run's log, without the first, which warms up."""
    content = {
        "name": "speed",
        "licence": "none",
        "network": {"preset": PRESET},
        "data": {"train": {"synthetic": {"adapter": "synthetic", "root": str(folder / "data")}}},
        "steps": steps,
        "batch": BATCH,
    }
    path, out = folder / "recipe.yaml", folder / f"run-{precision}"
    path.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "poseact", "train", str(path), "--out", str(out)]
    options: dict[str, object] = {"devices": DEVICES, "workers": WORKERS, "log-every": LOG_EVERY}
    options["precision"] = precision
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    subprocess.run([*command, *flags], check=True, capture_output=True)
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))[1:]
