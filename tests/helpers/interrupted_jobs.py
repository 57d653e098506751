"""Interrupts commands at random moments, runs them again, and compares what lies in the folder.

    python tests/helpers/interrupted_jobs.py --each 20 --seed 0

sends each signal so many times to each command, prints a line for each, and exits with 1 if any
result differs from that of an undisturbed run or anything is left over.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch

import poseact
from poseact.media import VideoWriter, write_image

SIGNALS = ("KILL", "INT", "TERM")
COMMANDS = ("predict", "train-actions", "pack", "make-synthetic")

# Of undisturbed and of second runs, on a machine that does other things too.
_PATIENCE_S = 1800


def make_input(root: Path) -> None:
    """Small inputs for all commands."""
    rng = np.random.default_rng(0)

    def noise(height: int, width: int) -> np.ndarray:
        return rng.integers(0, 256, (height, width, 3), np.uint8)

    for name in ("a.mp4", "deep/b.mp4"):
        with VideoWriter(root / "media" / name, 10, 64, 48) as video:
            for _ in range(6):
                video.write(noise(48, 64))
    for number in range(2):
        write_image(root / "media" / f"{number}.png", noise(48, 64))
    poseact.save(poseact.create_model("tiny"), root / "pose.safetensors")
    clips = ["file,start,end,label,recording"]
    for number in range(6):
        start = 0.15 * number
        clips.append(f"demo.mp4,{start:.2f},{start + 0.12:.2f},{'ab'[number % 2]},{number}")
    (root / "clips").mkdir()
    (root / "clips" / "clips.csv").write_text("\n".join(clips))
    with as_file(files("poseact.assets") / "demo.mp4") as clip:
        shutil.copy(clip, root / "clips" / "demo.mp4")
    people = []
    for number in range(60):
        write_image(root / "coco" / "images" / f"{number}.jpg", noise(200, 200))
        points = np.column_stack((rng.uniform(10, 190, (17, 2)), np.full(17, 2))).ravel().tolist()
        people.append({"id": number, "image_id": number, "category_id": 1, "keypoints": points})
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(60)]
    labels = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (root / "coco" / "annotations.json").write_text(json.dumps(labels))


def arguments_of(command: str, root: Path, out: Path) -> list[str]:
    """The command line, without the program."""
    parts: dict[str, tuple[str | Path, ...]] = {
        "predict": (
            *("predict", root / "media", "--out", out),
            *("--weights", root / "pose.safetensors", "--people", "one"),
        ),
        "train-actions": (
            *("train-actions", root / "clips", "--out", out, "--epochs", "1", "--frames", "4"),
            "--no-curve",
        ),
        "pack": ("data", "pack", "coco", root / "coco", out, "--shard-size", "4"),
        "make-synthetic": (
            *("make-synthetic", out, "--count", "24", "--size", "64", "--shard-size", "4"),
            *("--workers", "2"),
        ),
    }
    return [str(part) for part in parts[command]]


def contents(out: Path) -> dict[str, str]:
    """Digest of every file by its name, hidden ones included."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(_comparable(path)).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def _comparable(path: Path) -> bytes:
    if path.suffix == ".pt":
        # Written by this run; the times that its steps took are in it.
        state = _without_times(torch.load(path, weights_only=False))
        return json.dumps(state, sort_keys=True, default=_plain).encode()
    return path.read_bytes()


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, torch.Tensor) else repr(value)


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(each) for key, each in value.items() if key != "seconds"}
    return [_without_times(each) for each in value] if isinstance(value, list) else value


def begin(arguments: list[str]) -> subprocess.Popen[bytes]:
    """The program with its output dropped."""
    return subprocess.Popen(
        [sys.executable, "-m", "poseact", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish(process: subprocess.Popen[bytes]) -> int:
    """Exit code of a process that is waited for."""
    try:
        return process.wait(_PATIENCE_S)
    finally:
        process.kill()


def interrupt(
    command: str, root: Path, *, each: int, seed: int, signals: tuple[str, ...] = SIGNALS
) -> Iterator[tuple[str, str]]:
    """Interrupt a command and run it again, over and over.

    Args:
        command: One of ``COMMANDS``.
        root: Of the inputs; results lie there too.
        each: Interruptions by each signal.
        seed: Of the moments.
        signals: Their names.

    Yields:
        What was done, and what is wrong afterwards; nothing is wrong if that is empty.
    """
    # The results tell their folder, so that all lie in the same.
    out = root / "out"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    code = finish(begin(arguments_of(command, root, out)))
    span = time.perf_counter() - began
    expected = contents(out)
    yield (
        f"{command}: undisturbed, {span:.1f} s, {len(expected)} files",
        f"code {code}" * bool(code),
    )
    chance = random.Random(f"{command} {seed}")
    for name in signals:
        for number in range(each):
            moment = chance.uniform(0, 1.05)
            shutil.rmtree(out, ignore_errors=True)
            process = begin(arguments_of(command, root, out))
            time.sleep(moment * span)
            process.send_signal(getattr(signal, f"SIG{name}"))
            ended = finish(process)
            code = finish(begin(arguments_of(command, root, out)))
            found = contents(out)
            wrong = sorted(
                name
                for name in found.keys() | expected.keys()
                if found.get(name) != expected.get(name)
            )
            what = f"{command}: {name} {number} at {moment:.0%}, code {ended}"
            yield what, f"again: code {code}, differs: {wrong}" if code or wrong else ""


def main() -> int:
    """Exit code: 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=20, help="Interruptions by each signal.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", action="append", choices=COMMANDS)
    options = parser.parse_args()
    # Shells start background jobs with this signal ignored, which the commands would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_input(root)
        for command in options.command or COMMANDS:
            for what, wrong in interrupt(command, root, each=options.each, seed=options.seed):
                done, failed = done + 1, failed + bool(wrong)
                sys.stdout.write(f"{what}: {wrong or 'equal'}\n")
                sys.stdout.flush()
    sys.stdout.write(f"seed {options.seed}: {done} runs, {failed} wrong\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
