"""Throughput of ``poseact predict --engine ray`` here, and what a million videos would take.

    OMP_WAIT_POLICY=passive python benchmarks/distributed.py --out benchmarks/distributed.json \
        --page docs/large-scale.md

Generated videos of 640x480 at 30 frames per second are predicted by one worker, then by two, one
thread each, into a fresh folder every time. The rate of a worker is the frames that it read by the
seconds that it spent on their files: decoding, prediction and writing, without the start of Ray and
the loading of the network, which are told apart. The arithmetic takes the rate of the largest
number of workers, because workers of one machine share its caches and its clock.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from forward import machine
from live import write_video
from rich.console import Console

from poseact._utils.files import atomic_write
from poseact.inference.distributed import predict_distributed
from poseact.inference.predictor import DEFAULT_WEIGHTS

START, END = "<!-- measured by benchmarks/distributed.py -->", "<!-- end of measured -->"

VIDEOS, VIDEO_SECONDS, VIDEO_FPS = 1_000_000, 10, 30

VIDEO_MB = 2.5
"""Assumed: 10 s of H.264 at 2 Mbit/s."""

GPU_RATE = 400.0
"""Frames per second of one GPU that several workers share. Assumed, not measured."""

PRICE_CORE_HOUR, PRICE_GPU_HOUR, PRICE_GB_MONTH = 0.04, 2.0, 0.02
"""Assumed, in dollars: round figures of what clouds ask for on demand."""


def measure(videos: Path, workers: int, weights: str, gpus: float) -> dict[str, Any]:
    """Rates of a number of workers."""
    with tempfile.TemporaryDirectory() as out:
        report = predict_distributed(
            videos, out, weights=weights, workers=workers, gpus_per_worker=gpus
        )
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


def section(result: dict[str, Any]) -> str:
    """The measured part of the page, as Markdown."""
    runs, total = result["runs"], result["million_videos"]
    machine_facts = result["machine"]
    lines = [
        f"Weights `{result['weights']}`, {result['videos']} videos of {result['frames']} frames, "
        f"640x480, one thread per worker on {machine_facts['cpu']}"
        f" (load {machine_facts['load']} before the start):",
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


def with_section(page: str, result: dict[str, Any]) -> str:
    """The page with its measured part replaced."""
    head, _, rest = page.partition(START)
    _, _, tail = rest.partition(END)
    return f"{head}{START}\n\n{section(result)}\n\n{END}{tail}"


def measure_all(args: argparse.Namespace) -> dict[str, Any]:
    facts = machine()
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "0.mp4"
        write_video(first, args.frames)
        for number in range(1, args.videos):
            shutil.copy(first, first.with_name(f"{number}.mp4"))
        for workers in args.workers:
            runs.append(measure(Path(folder), workers, args.weights, args.gpus_per_worker))
            Console(stderr=True).print(runs[-1])
    rate, size = runs[-1]["frames_per_second_of_a_worker"], runs[-1]["bytes_per_frame"]
    if args.gpus_per_worker:
        rows = {"GPU, measured": (rate / args.gpus_per_worker, PRICE_GPU_HOUR)}
    else:
        rows = {
            "CPU core, measured": (rate, PRICE_CORE_HOUR),
            "GPU, assumed": (GPU_RATE, PRICE_GPU_HOUR),
        }
    return {
        "machine": facts,
        "weights": args.weights,
        "videos": args.videos,
        "frames": args.frames,
        "gpus_per_worker": args.gpus_per_worker,
        "runs": runs,
        "million_videos": {name: arithmetic(*row, size) for name, row in rows.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--gpus-per-worker", type=float, default=0.0)
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS)
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--frames", type=int, default=VIDEO_SECONDS * VIDEO_FPS, help="of a video")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="page of the docs whose measured part to write")
    args = parser.parse_args()
    result = measure_all(args)
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if args.out:
        atomic_write(args.out, lambda partial: partial.write_text(text))
    if args.page:
        page = with_section(args.page.read_text(), result)
        atomic_write(args.page, lambda partial: partial.write_text(page))


if __name__ == "__main__":
    main()
