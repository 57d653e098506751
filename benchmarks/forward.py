"""Size, arithmetic, speed and memory of every preset on this machine.

    OMP_WAIT_POLICY=passive python benchmarks/forward.py --out benchmarks/forward.json

Speed is the median of runs that are interleaved over the presets, so that a busy moment hits all of
them, with batch normalisation folded as the Predictor does. A clip is as long as its preset says;
GFLOP counts 2 per multiply-add, for one image or one clip. Peak memory is that of a fresh process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

import poseact
from poseact._utils.files import replacing
from poseact.models.presets import PRESETS, num_parameters

BATCHES = (1,)
MEMORY_LIMIT_GB = {"cvpr18-penn": 2.5}


def frames_for(preset: str, batch: int) -> torch.Tensor:
    config = PRESETS[preset]()
    shape = (batch, config.frames, 3, config.image_size, config.image_size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def gflop(preset: str) -> float:
    network = poseact.create_model(preset).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(frames_for(preset, 1))
    return counter.get_total_flops() / 1e9


def peak_memory_gb(preset: str) -> float:
    """Largest resident memory of a fresh process that predicts one image or clip, in GB (Linux)."""
    command = [sys.executable, __file__, "--one", preset]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(result.stdout)


def one_prediction(preset: str) -> float:
    network = poseact.fused(poseact.create_model(preset))
    with torch.inference_mode():
        network(frames_for(preset, 1))
    # Not getrusage: its high-water mark starts at that of the parent process.
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def median_seconds(presets: list[str], batch: int, runs: int) -> dict[str, float]:
    networks = {preset: poseact.fused(poseact.create_model(preset)) for preset in presets}
    times: dict[str, list[float]] = {preset: [] for preset in presets}
    console = Console(stderr=True)
    with torch.inference_mode():
        for run in track(range(runs + 1), f"batch {batch}", console=console):
            for preset, network in networks.items():
                frames = frames_for(preset, batch)
                start = time.perf_counter()
                network(frames)
                if run:  # the first one warms up
                    times[preset].append(time.perf_counter() - start)
    return {preset: statistics.median(seconds) for preset, seconds in times.items()}


def machine() -> dict[str, str | int]:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        model = next((value.strip() for key, value in lines if key.strip() == "model name"), model)
    return {
        "cpu": model,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 2),
    }


def measure(presets: list[str], runs: int) -> dict:
    seconds = {batch: median_seconds(presets, batch, runs) for batch in BATCHES}
    rows = {}
    for preset in presets:
        config = PRESETS[preset]()
        rows[preset] = {
            "parameters": num_parameters(poseact.create_model(preset)),
            "frames": config.frames,
            "gflop": round(gflop(preset), 3),
            "peak_gb": round(peak_memory_gb(preset), 2),
            **{f"ms_batch{b}": round(1e3 * seconds[b][preset] / b, 1) for b in BATCHES},
        }
    return {"machine": machine(), "runs": runs, "presets": rows}


def show(result: dict) -> None:
    table = Table(
        *("preset", "parameters", "frames", "GFLOP"),
        *(f"ms per item, batch {batch}" for batch in BATCHES),
        *("ms per frame", "peak GB"),
        title=", ".join(f"{key}: {value}" for key, value in result["machine"].items()),
    )
    for preset, row in result["presets"].items():
        table.add_row(
            preset,
            f"{row['parameters']:,}",
            str(row["frames"]),
            f"{row['gflop']:.2f}",
            *(f"{row[f'ms_batch{batch}']:.0f}" for batch in BATCHES),
            f"{row['ms_batch1'] / row['frames']:.1f}",
            f"{row['peak_gb']:.2f}",
        )
    Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        sys.stdout.write(str(one_prediction(args.one)))
        return 0
    result = measure(args.presets, args.runs)
    show(result)
    if args.out:
        with replacing(args.out) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")
    over = [
        preset
        for preset, limit in MEMORY_LIMIT_GB.items()
        if preset in result["presets"] and result["presets"][preset]["peak_gb"] > limit
    ]
    if over:
        sys.stderr.write(f"peak memory over its limit: {', '.join(over)}\n")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
