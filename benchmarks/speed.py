"""How fast poses are read on this machine, beside competitors, and how that grows.

    python benchmarks/speed.py --out benchmarks/speed.json --page docs/runtimes.md
    python benchmarks/speed.py --earlier ../poseact-8640675 --mediapipe ../mediapipe/bin/python

Every competitor is a process of its own (benchmarks/speed_worker.py), and all of a group run in
turn, so that a busy moment hits all of them: runtimes and precisions of the shipped weights,
presets against an earlier commit of PoseAct (a checkout), and MediaPipe from an environment of its
own. The tables hold medians at batch 1. Nothing is set in the environment: threads and waiting are
what a user gets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from poseact._utils.files import atomic_write
from poseact.inference.predictor import DEFAULT_WEIGHTS, Predictor
from poseact.media import VideoWriter
from poseact.runtime.cache import machine
from poseact.runtime.int8_photos import shipped_photos
from poseact.runtime.interface import RUNTIMES, computes_in, has_bf16, installed, threads_here

WORKER = Path(__file__).with_name("speed_worker.py")
START, END = "<!-- measured by benchmarks/speed.py -->", "<!-- end of measured -->"
PRESETS = ("cvpr18-mpii", "cvpr18-h36m", "cvpr18-penn", "cvpr18-ntu", "spnet-penn", "spnet-ntu")
HEIGHTS = {"480p": (854, 480), "1080p": (1920, 1080), "4K": (3840, 2160)}
PEOPLE = (1, 4, 16)
VIDEO_FRAMES = 90
_MEMORY = (
    "import sys; from pathlib import Path; from poseact.inference.predict import predict; "
    "predict(sys.argv[1], sys.argv[2], draw=False, runtime=sys.argv[3]); "
    "print([line for line in Path('/proc/self/status').read_text().splitlines() "
    "if line.startswith('VmHWM')][0].split()[1])"
)


class Competitor:
    """A worker process under way."""

    def __init__(self, arguments: list[str], python: str, sources: Path | None) -> None:
        environment = dict(os.environ)
        if sources is not None:
            environment["PYTHONPATH"] = str(sources / "src")
        self.process = subprocess.Popen(
            [python, str(WORKER), *arguments],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.facts: dict[str, Any] = json.loads(self._line())

    def run(self) -> float:
        """Seconds of one run."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended early")
        return line


def interleaved(
    wanted: dict[str, tuple[list[str], str, Path | None]], runs: int
) -> dict[str, dict[str, Any]]:
    """Median milliseconds of competitors that run in turn, with their facts."""
    competitors = {name: Competitor(*arguments) for name, arguments in wanted.items()}
    times: dict[str, list[float]] = {name: [] for name in wanted}
    load = os.getloadavg()[0]
    for _ in track(range(runs), ", ".join(wanted), console=Console(stderr=True)):
        for name, competitor in competitors.items():
            times[name].append(competitor.run())
    for competitor in competitors.values():
        competitor.close()
    return {
        name: {
            "ms": round(1e3 * statistics.median(own), 2),
            "load": round(load, 2),
            **competitors[name].facts,
        }
        for name, own in times.items()
    }


def runtimes(runs: int, mediapipe: str | None, picture: Path) -> dict[str, dict[str, Any]]:
    """The shipped weights in every runtime and precision, and MediaPipe."""
    wanted: dict[str, tuple[list[str], str, Path | None]] = {}
    for name in installed():
        for precision in ("fp32", "bf16", "int8"):
            if computes_in(name, precision) and (precision != "bf16" or has_bf16()):
                arguments = [name, precision, DEFAULT_WEIGHTS]
                wanted[f"{name} {precision}"] = (arguments, sys.executable, None)
    if mediapipe:
        wanted["MediaPipe full"] = (["mediapipe", "-", str(picture)], mediapipe, None)
    return interleaved(wanted, runs)


def presets(names: list[str], runs: int, earlier: Path | None) -> dict[str, Any]:
    """Forward passes of presets in PyTorch, now and as an earlier commit runs them."""
    result = {}
    for name in names:
        wanted = {"torch fp32": (["network", "fp32", name], sys.executable, None)}
        if earlier is not None:
            wanted["earlier"] = (["network", "fp32", name], sys.executable, earlier)
        result[name] = interleaved(wanted, runs)
    return result


def growth(picture: np.ndarray, runs: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a frame by the number of boxes and by the size of the picture."""
    predictor = Predictor(people="one")
    result: dict[str, dict[str, float]] = {"boxes": {}, "resolution": {}}

    def measure(image: np.ndarray, people: int) -> float:
        height, width = image.shape[:2]
        box = (0.3 * width, 0.2 * height, 0.6 * width, 0.8 * height)
        times = []
        for _ in range(runs):
            before = time.perf_counter()
            predictor.image(image, [box] * people)
            times.append(time.perf_counter() - before)
        return round(1e3 * statistics.median(times), 1)

    for people in PEOPLE:
        result["boxes"][str(people)] = measure(picture, people)
    for name, size in HEIGHTS.items():
        result["resolution"][name] = measure(cv2.resize(picture, size), 1)
    return result


def files_and_memory(picture: np.ndarray, folder: Path, counts: list[int]) -> dict[str, Any]:
    """Seconds of ``predict`` by photos; ms per frame and peak MB of a 1080p video by runtime."""
    source = folder / "photos"
    source.mkdir()
    seconds = {}
    for count in counts:
        for number in range(len(list(source.iterdir())), count):
            cv2.imwrite(str(source / f"{number}.jpg"), picture)
        command = [sys.executable, "-m", "poseact", "predict", str(source), "--no-draw", "--out"]
        before = time.perf_counter()
        subprocess.run([*command, str(folder / f"out{count}")], check=True, capture_output=True)
        seconds[str(count)] = round(time.perf_counter() - before, 1)
    video = folder / "video.mp4"
    with VideoWriter(video, 30, *HEIGHTS["1080p"]) as writer:
        for _ in range(VIDEO_FRAMES):
            writer.write(cv2.resize(picture, HEIGHTS["1080p"]))
    memory, rate = {}, {}
    for runtime in installed():
        call = [sys.executable, "-c", _MEMORY, str(video), str(folder / "memory"), runtime]
        before = time.perf_counter()
        done = subprocess.run(call, check=True, capture_output=True, text=True)
        rate[runtime] = round(1e3 * (time.perf_counter() - before) / VIDEO_FRAMES, 1)
        memory[runtime] = round(int(done.stdout.split()[-1]) / 1000)
    return {"photos_s": seconds, "video_1080p_ms": rate, "video_1080p_peak_mb": memory}


def tables(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    where = (result["machine"], result["system"], f"load {result['load']} before the start")
    lines = [f"{'; '.join(where)}.", ""]
    lines += ["| pose network of small-open, one crop | ms |", "|---|---:|"]
    lines += [f"| {name} | {row['ms']} |" for name, row in result["runtimes"].items()]
    if result["presets"]:
        lines += ["", "| forward pass in PyTorch, batch 1 | ms | earlier, ms | times |"]
        lines += ["|---|---:|---:|---:|"]
    for name, rows in result["presets"].items():
        ours, earlier = rows["torch fp32"]["ms"], rows.get("earlier", {}).get("ms")
        ratio = f"{earlier / ours:.2f}" if earlier else "–"
        lines.append(f"| `{name}` | {ours} | {earlier or '–'} | {ratio} |")
    lines += ["", "| a frame by | ms |", "|---|---:|"]
    for kind, rows in result["growth"].items():
        lines += [f"| {kind}: {name} | {ms} |" for name, ms in rows.items()]
    lines += ["", "| `predict --no-draw`, all together | |", "|---|---:|"]
    lines += [f"| {count} photos, s | {s} |" for count, s in result["files"]["photos_s"].items()]
    for name in result["files"]["video_1080p_ms"]:
        ms, mb = (result["files"][key][name] for key in ("video_1080p_ms", "video_1080p_peak_mb"))
        lines.append(f"| 90 frames of 1080p in {name}: ms a frame, MB at most | {ms}, {mb} |")
    return "\n".join(lines)


def write_page(page: Path, text: str) -> None:
    content = page.read_text("utf-8")
    head, _, rest = content.partition(START)
    tail = rest.partition(END)[2] if rest else "\n"
    whole = f"{head.rstrip()}\n\n{START}\n\n{text}\n\n{END}{tail}"
    atomic_write(page, lambda path: path.write_text(whole, "utf-8"))


def versions() -> dict[str, str]:
    found = {}
    for name in ("poseact", "torch", "onnxruntime", "openvino", "numpy", "opencv-python-headless"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--photos", nargs="*", type=int, default=[10, 100, 1000])
    parser.add_argument("--earlier", type=Path, help="checkout of an earlier commit of PoseAct")
    parser.add_argument("--mediapipe", help="Python of an environment with MediaPipe")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="Markdown page to write the tables into")
    args = parser.parse_args()
    picture = shipped_photos(480).crops[0]
    result: dict[str, Any] = {
        "machine": machine(),
        "threads": threads_here(),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 2),
        "runtimes_installed": [name for name in RUNTIMES if name in installed()],
        "versions": versions(),
        "runs": args.runs,
    }
    with tempfile.TemporaryDirectory() as name:
        photo = Path(name) / "photo.jpg"
        cv2.imwrite(str(photo), picture[..., ::-1])
        result["runtimes"] = runtimes(args.runs, args.mediapipe, photo)
        result["presets"] = presets(args.presets, max(args.runs // 3, 3), args.earlier)
        result["growth"] = growth(picture, args.runs)
        result["files"] = files_and_memory(picture, Path(name), args.photos)
    if args.out:
        text = json.dumps(result, indent=2) + "\n"
        atomic_write(args.out, lambda path: path.write_text(text, "utf-8"))
    if args.page:
        write_page(args.page, tables(result))
    Console().print(tables(result), markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
