"""Throughput of ``poseact predict --engine ray``, for benchmarks/speed.py, and a million videos.

Videos of 640x480 at 30 frames per second are predicted by one worker, then by two, one thread each,
into a fresh folder every time. The rate of a worker is the frames that it read by the seconds that
it spent on their files: decoding, prediction and writing, without the start of Ray and the loading
of the network. The arithmetic takes the rate of the largest number of workers, because workers of
one machine share its caches and its clock.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from measure_live import SIZE, film

from poseact.inference.distributed import predict_distributed
from poseact.inference.predictor import DEFAULT_WEIGHTS
from poseact.media import VideoWriter

VIDEOS, VIDEO_SECONDS, VIDEO_FPS = 1_000_000, 10, 30

VIDEO_MB = 2.5
"""Assumed: 10 s of H.264 at 2 Mbit/s."""

GPU_RATE = 400.0
"""Frames per second of one GPU that several workers share. Assumed, not measured."""

PRICE_CORE_HOUR, PRICE_GPU_HOUR, PRICE_GB_MONTH = 0.04, 2.0, 0.02
"""Assumed, in dollars: round figures of what clouds ask for on demand."""


def measure(videos: Path, workers: int, gpus: float) -> dict[str, Any]:
    """Rates of a number of workers."""
    with tempfile.TemporaryDirectory() as out:
        report = predict_distributed(videos, out, workers=workers, gpus_per_worker=gpus)
        if report.failed or report.interrupted:
            sys.exit(f"not all videos were predicted: {report}")
        rows = pq.read_table(report.index).to_pylist()
        size = sum(path.stat().st_size for path in Path(out, "poses").rglob("*.parquet"))
    busy, frames = defaultdict(float), defaultdict(int)
    for row in rows:
        busy[row["worker"]] += row["seconds"]
        frames[row["worker"]] += row["frames"]
    longest = max(busy.values())
    return {
        "workers": len(busy),
        "frames": report.frames,
        "frames_per_second_of_a_worker": round(report.frames / sum(busy.values()), 2),
        "frames_per_second": round(sum(frames[name] / busy[name] for name in busy), 2),
        "seconds": round(report.seconds, 1),
        "seconds_to_start": round(report.seconds - longest, 1),
        "bytes_per_frame": round(size / report.frames, 1),
    }


def arithmetic(rate: float, price: float, bytes_per_frame: float) -> dict[str, float]:
    """What all videos take.

    Args:
        rate: Frames per second of a core or a GPU.
        price: Of an hour of it.
        bytes_per_frame: Of the tables.
    """
    frames = VIDEOS * VIDEO_SECONDS * VIDEO_FPS
    hours = frames / rate / 3600
    return {
        "frames_per_second": rate,
        "hours": round(hours),
        "days_on_100": round(hours / 100 / 24, 2),
        "dollars": round(hours * price),
        "dollars_per_1000_videos": round(1000 * hours * price / VIDEOS, 3),
        "results_gb": round(frames * bytes_per_frame / 1e9),
    }


def section(result: dict[str, Any], where: str) -> str:
    """What was measured, as Markdown; ``where`` names the machine."""
    runs, total = result["runs"], result["million_videos"]
    lines = [
        f"Weights `{result['weights']}`, {result['videos']} videos of {result['frames']} frames, "
        f"640x480, one thread per worker; {where}:",
        "",
        "| workers | frames/s of a worker | frames/s in all | s in all | of them to start |",
        "|---:|---:|---:|---:|---:|",
    ]
    for run in runs:
        lines.append(
            f"| {run['workers']} | {run['frames_per_second_of_a_worker']:.1f} | "
            f"{run['frames_per_second']:.1f} | {run['seconds']:.0f} | "
            f"{run['seconds_to_start']:.0f} |"
        )
    first, last = runs[0], runs[-1]
    times = last["frames_per_second"] / first["frames_per_second"]
    lines += [
        "",
        f"From {first['workers']} to {last['workers']} workers the rate grows {times:.2f} times. "
        f"The tables of poses take {last['bytes_per_frame']:.0f} bytes per frame.",
        "",
        "| 1,000,000 videos | frames/s | hours | days on 100 | dollars | per 1,000 videos |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in total.items():
        lines.append(
            f"| {name} | {row['frames_per_second']:.1f} | {row['hours']:,} | "
            f"{row['days_on_100']:.1f} | {row['dollars']:,} | "
            f"{row['dollars_per_1000_videos']:.2f} |"
        )
    storage = next(iter(total.values()))["results_gb"]
    held = VIDEOS * VIDEO_MB / 1000
    lines += [
        "",
        f"Storage: {held:,.0f} GB of videos and {storage:,} GB of tables, "
        f"{(held + storage) * PRICE_GB_MONTH:,.0f} dollars a month.",
    ]
    return "\n".join(lines)


def workers(counts: list[int], videos: int, frames: int, gpus: float) -> dict[str, Any]:
    """Rates of each number of workers, and what a million videos take.

    Args:
        counts: Numbers of workers.
        videos: How many videos.
        frames: Of each.
        gpus: GPUs of a worker, a part of one or none.
    """
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "0.mp4"
        pictures = film(1)
        with VideoWriter(first, VIDEO_FPS, *SIZE) as writer:
            for number in range(frames):
                writer.write(pictures[number % len(pictures)])
        for number in range(1, videos):
            shutil.copy(first, first.with_name(f"{number}.mp4"))
        runs = [measure(Path(folder), count, gpus) for count in counts]
    rate, size = runs[-1]["frames_per_second_of_a_worker"], runs[-1]["bytes_per_frame"]
    if gpus:
        rows = {"GPU, measured": (rate / gpus, PRICE_GPU_HOUR)}
    else:
        rows = {
            "CPU core, measured": (rate, PRICE_CORE_HOUR),
            "GPU, assumed": (GPU_RATE, PRICE_GPU_HOUR),
        }
    return {
        "weights": DEFAULT_WEIGHTS,
        "videos": videos,
        "frames": frames,
        "gpus_per_worker": gpus,
        "runs": runs,
        "million_videos": {name: arithmetic(*row, size) for name, row in rows.items()},
    }
