"""How fast PoseAct is on this machine, beside competitors, and how time and memory grow.

    python benchmarks/speed.py --quick
    python benchmarks/speed.py --out benchmarks/speed.json --pages docs \
        --earlier ../poseact-8640675 --mediapipe ../mediapipe/bin/python \
        --movenet movenet-lightning.safetensors --clips ../shared/data/clips
    python benchmarks/speed.py --only live --live-frames 100000
    python benchmarks/speed.py --only --out benchmarks/speed.json --pages docs

One JSON holds everything, and ``--pages`` writes its tables into the documentation; with no part
it measures nothing. The parts:

* ``networks``: the default weights in every runtime and precision, MediaPipe and MoveNet, and all
  presets, now and in an earlier commit (a checkout), in interleaved runs at batch 1;
* ``growth``: a frame by people and pixels, ``predict`` by photos and on videos, its peak memory;
* ``live``: 640x480 on one core with one person and four, the action heads, memory over all frames;
* ``clips``: ``train-actions`` by the number of clips;
* ``training``: images a second of a training;
* ``workers``: Ray's workers, and what a million videos would take.

``--quick`` takes a few minutes on two cores: fewer runs, photos, frames and clips. Nothing is set
in the environment: threads and waiting are what a user gets. Parts that were measured before stay
in the file of ``--out``, each with its own machine and load.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import as_given
import cv2
import measure_growth
import measure_networks
import measure_training
import measure_workers
import speed_tables
from rich.console import Console

from poseact._utils.files import atomic_write
from poseact.models.presets import PRESETS
from poseact.runtime.cache import machine
from poseact.runtime.int8_photos import shipped_photos
from poseact.runtime.interface import threads_here

PARTS = ("networks", "growth", "live", "clips", "training", "workers")
QUICK = {
    "runs": 5,
    "presets": ["cvpr18-mpii", "tiny", "small", "base"],
    "photos": [10, 100],
    "live_frames": 300,
    "clip_counts": [10],
    "steps": 15,
    "videos": 2,
}
_PACKAGES = ("poseact", "torch", "onnxruntime", "openvino", "numpy", "opencv-python-headless", "av")


def where() -> dict[str, Any]:
    """Machine, system, load and versions."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "machine": machine(),
        "threads": threads_here(),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d"),
        "versions": found,
    }


def networks(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        photo = Path(name) / "photo.jpg"
        cv2.imwrite(str(photo), shipped_photos(480).crops[0][..., ::-1])
        rows = measure_networks.runtimes(options.runs, photo, options.mediapipe, options.movenet)
    runs = max(options.runs // 3, 3)
    return {
        "runtimes": rows,
        "presets": measure_networks.presets(options.presets, runs, options.earlier),
    }


def growth(options: argparse.Namespace) -> dict[str, Any]:
    picture = shipped_photos(480).crops[0]
    with tempfile.TemporaryDirectory() as name:
        return {
            "frame_ms": measure_growth.frames(picture, options.runs),
            "photos_s": measure_growth.photos(picture, Path(name), options.photos),
            "video_1080p": measure_growth.video(picture, Path(name)),
            "jobs_ms": measure_growth.jobs(Path(name)),
        }


def live(options: argparse.Namespace) -> dict[str, Any]:
    script = Path(__file__).with_name("measure_live.py")
    rows = {}
    for people in (1, 4):
        numbers = ["--people", str(people), "--frames", str(options.live_frames)]
        done = subprocess.run(
            [sys.executable, str(script), *numbers], check=True, stdout=subprocess.PIPE, text=True
        )
        rows[str(people)] = json.loads(done.stdout.splitlines()[-1])
    return rows


def clips(options: argparse.Namespace) -> dict[str, Any]:
    return measure_growth.clips(options.clips, options.clip_counts) if options.clips else {}


def training(options: argparse.Namespace) -> dict[str, Any]:
    return measure_training.training(options.steps)


def workers(options: argparse.Namespace) -> dict[str, Any]:
    counts, videos = options.workers, options.videos
    return measure_workers.workers(counts, videos, 300, options.gpus_per_worker)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="or none")
    parser.add_argument("--quick", action="store_true", help="a few minutes")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--photos", nargs="*", type=int, default=[10, 100, 1000])
    parser.add_argument("--live-frames", type=int, default=3000)
    parser.add_argument("--clip-counts", nargs="*", type=int, default=[10, 20, 40, 150])
    parser.add_argument("--steps", type=int, default=40, help="of the training")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--gpus-per-worker", type=float, default=0.0)
    parser.add_argument("--videos", type=int, default=8, help="for the workers")
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier commit of PoseAct")
    parser.add_argument("--mediapipe", help="Python of an environment with MediaPipe")
    parser.add_argument("--movenet", type=Path, help="file of tools/convert_movenet.py")
    parser.add_argument("--clips", type=Path, help="folder of clips for train-actions")
    parser.add_argument("--out", type=Path, help="JSON file to write; other parts in it stay")
    parser.add_argument("--pages", type=Path, help="folder of the pages to write the tables into")
    quick = "--quick" in sys.argv
    parser.set_defaults(**(QUICK if quick else {}))
    return parser.parse_args()


def main() -> int:
    options = parsed()
    as_given.restore()
    measure = {
        "networks": networks,
        "growth": growth,
        "live": live,
        "clips": clips,
        "training": training,
        "workers": workers,
    }
    known = options.out is not None and options.out.exists()
    result: dict[str, Any] = json.loads(options.out.read_text("utf-8")) if known else {}
    for part in options.only:
        before = where()
        found = measure[part](options)
        if not found:
            continue
        result[part] = {"where": before, **found}
        if options.out:  # whatever fails later, this is kept
            text = json.dumps(result, indent=2) + "\n"
            atomic_write(options.out, lambda path, text=text: path.write_text(text, "utf-8"))
    if options.pages:
        speed_tables.write_pages(options.pages, result)
    Console().print(speed_tables.text(result), markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
