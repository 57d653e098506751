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
from poseact.synthetic.make import make_synthetic

PRESET = "small"
DEVICES, WORKERS, BATCH = 2, 1, 16
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
        rows = _train(folder, steps)
        peaks.append(peak_gflops())

    def median(column: str) -> float:
        return statistics.median(float(row[column]) for row in rows)

    speed = median("images_per_second")
    arithmetic = 3 * gflop(PRESET) * speed
    return {
        "preset": PRESET,
        "image_size": PRESETS[PRESET]().image_size,
        "processes": DEVICES,
        "batch": BATCH,
        "images_per_second": round(speed, 1),
        "wait_share": round(median("wait_share"), 4),
        "share_of_peak": round(arithmetic / statistics.mean(peaks), 3),
        "rendered_per_second": round(rendered, 1),
    }


def _train(folder: Path, steps: int) -> list[dict[str, str]]:
    """Rows of the run's log, without the first, which warms up."""
    content = {
        "name": "speed",
        "licence": "none",
        "network": {"preset": PRESET},
        "data": {"train": {"synthetic": {"adapter": "synthetic", "root": str(folder / "data")}}},
        "steps": steps,
        "batch": BATCH,
    }
    path, out = folder / "recipe.yaml", folder / "run"
    path.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "poseact", "train", str(path), "--out", str(out)]
    options = {"devices": DEVICES, "workers": WORKERS, "log-every": LOG_EVERY}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    subprocess.run([*command, *flags], check=True, capture_output=True)
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))[1:]
