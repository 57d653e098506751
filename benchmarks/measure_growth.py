"""How time and memory grow, for benchmarks/speed.py: people, pixels, photos, frames, clips."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import one_core

from poseact.inference.predictor import Predictor
from poseact.media import VIDEO_SUFFIXES, VideoReader, VideoWriter
from poseact.runtime.interface import installed

SIZES = {"480p": (854, 480), "1080p": (1920, 1080), "4K": (3840, 2160)}
PEOPLE = (1, 4, 16)
VIDEO_FRAMES = 90
ACTIONS = 3
WHOLE_JOBS = {"288p, not drawn": ((512, 288), ["--no-draw"]), "1080p, drawn": (SIZES["1080p"], [])}
WHOLE_JOBS |= {
    f"{name}, precision fp32": (size, [*flags, "--precision", "fp32"])
    for name, (size, flags) in WHOLE_JOBS.items()
}
# Of the demo video; in the first run, networks may be converted and compared.
REPEATS = 1, 1, 5
_MEMORY = (
    "import sys; from pathlib import Path; from poseact.inference.predict import predict; "
    "predict(sys.argv[1], sys.argv[2], runtime=sys.argv[3], draw=sys.argv[4] == 'drawn'); "
    "print([line for line in Path('/proc/self/status').read_text().splitlines() "
    "if line.startswith('VmHWM')][0].split()[1])"
)


def frames(picture: np.ndarray, runs: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a frame by the number of boxes and by the size of the picture."""
    predictor = Predictor(people="one")
    kinds = {("boxes", str(people)): (picture, people) for people in PEOPLE}
    kinds |= {("resolution", name): (cv2.resize(picture, size), 1) for name, size in SIZES.items()}
    times: dict[tuple[str, str], list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs):  # in turn, so that other load affects all alike
        for kind, (image, people) in kinds.items():
            height, width = image.shape[:2]
            box = (0.3 * width, 0.2 * height, 0.6 * width, 0.8 * height)
            before = time.perf_counter()
            predictor.image(image, [box] * people)
            times[kind].append(time.perf_counter() - before)
    result: dict[str, dict[str, float]] = {"boxes": {}, "resolution": {}}
    for (growth, name), seconds in times.items():
        result[growth][name] = round(1e3 * statistics.median(seconds), 1)
    return result


def photos(picture: np.ndarray, folder: Path, counts: list[int]) -> dict[str, float]:
    """Seconds of ``predict`` by the number of photos, the start of the program included."""
    source = folder / "photos"
    source.mkdir()
    seconds = {}
    for count in counts:
        for number in range(len(list(source.iterdir())), count):
            cv2.imwrite(str(source / f"{number}.jpg"), picture)
        command = ["predict", str(source), "--no-draw", "--out", str(folder / f"out{count}")]
        seconds[str(count)] = _seconds([sys.executable, "-m", "poseact", *command])
    return seconds


def video(picture: np.ndarray, folder: Path) -> dict[str, dict[str, float]]:
    """Milliseconds a frame and largest resident memory in MB of 1080p, by runtime (Linux).

    In the last runtime the video is drawn too.
    """
    path = folder / "video.mp4"
    with VideoWriter(path, 30, *SIZES["1080p"]) as writer:
        for _ in range(VIDEO_FRAMES):
            writer.write(cv2.resize(picture, SIZES["1080p"]))
    rows = {}
    runtimes = installed()
    kinds = {name: (name, "not drawn") for name in runtimes}
    kinds[f"{runtimes[-1]}, drawn"] = runtimes[-1], "drawn"
    for name, kind in kinds.items():
        call = [sys.executable, "-c", _MEMORY, str(path), str(folder / "memory"), *kind]
        before = time.perf_counter()
        done = subprocess.run(call, check=True, capture_output=True, text=True)
        rows[name] = {
            "ms": round(1e3 * (time.perf_counter() - before) / VIDEO_FRAMES, 1),
            "peak_mb": round(int(done.stdout.split()[-1]) * 1024 / 1e6),
        }
    return rows


def jobs(folder: Path) -> dict[str, float]:
    """Milliseconds a frame of ``predict`` on one core, on the demo video, without its start.

    The start is what a short video takes more than its share of a long one.
    """
    with as_file(files("poseact.assets") / "demo.mp4") as path, VideoReader(path) as video:
        pictures = [frame.image for frame in video]
    rows = {}
    for name, (size, flags) in WHOLE_JOBS.items():
        seconds = []
        for repeats in REPEATS:
            source = folder / f"{size[1]}-{repeats}.mp4"
            with VideoWriter(source, 30, *size) as writer:
                for picture in repeats * [cv2.resize(one, size) for one in pictures]:
                    writer.write(picture)
            command = ["predict", str(source), "--out", str(folder / "jobs"), *flags]
            seconds.append(_seconds([sys.executable, "-m", "poseact", *command], one_core.pin))
        more = (REPEATS[2] - REPEATS[1]) * len(pictures)
        rows[name] = round(1e3 * (seconds[2] - seconds[1]) / more, 1)
    return rows


def clips(source: Path, counts: list[int]) -> dict[str, Any]:
    """Seconds of ``train-actions`` by the number of clips, from videos to the report.

    Args:
        source: A folder of clips for each action; the first three actions with the most clips are
            taken, and others where these do not have enough.
        counts: Numbers of clips.
    """
    actions = sorted(
        ([path for path in sorted(one.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES])
        for one in source.iterdir()
        if one.is_dir()
    )
    actions.sort(key=len, reverse=True)
    seconds = {}
    for count in counts:
        taken, number = [], ACTIONS
        while len(taken) < count and number <= len(actions):
            each = -(-count // number)
            taken = [path for action in actions[:number] for path in action[:each]][:count]
            number += 1
        with tempfile.TemporaryDirectory() as name:
            for path in taken:
                target = Path(name) / "clips" / path.parent.name
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            command = ["train-actions", f"{name}/clips", "--out", f"{name}/out"]
            seconds[str(len(taken))] = _seconds([sys.executable, "-m", "poseact", *command])
    return seconds


def _seconds(command: list[str], start: Callable[[], None] | None = None) -> float:
    before = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, preexec_fn=start)
    return round(time.perf_counter() - before, 2)
