"""Live answers on this machine: speed end to end and against whole windows, memory in the long run.

    export OMP_WAIT_POLICY=passive
    python benchmarks/live.py --out benchmarks/live.json
    python benchmarks/live.py --frames 100000 --out benchmarks/live-memory.json

End to end means: a generated video of 640x480 is decoded, the person followed and every frame
answered, as fast as possible, and then at the video's own pace of 30 frames per second with the
policy that drops frames. The action weights are untrained, which does not change the speed. The
parts are medians of runs that are interleaved, so that a busy moment hits all of them, in wall time
and in CPU time.

With ``--frames N`` one stream answers N frames, a video of 640x480 over and over again, and the
resident memory of the process is taken ten times, the first time after a tenth of the frames.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

import poseact
from poseact._utils.device import single_thread
from poseact._utils.files import replacing
from poseact.actions.answers import recent_frames
from poseact.actions.clip_inputs import window_answers
from poseact.inference.live import run_live
from poseact.inference.live_source import live_source
from poseact.media import VideoReader, VideoWriter
from poseact.media.crop import to_frames, whole_square
from poseact.media.drawing import draw_pose
from poseact.models.multitask import MultitaskNetwork
from poseact.skeleton import PA16

SIZE = (640, 480)
LABELS = tuple(f"action{k}" for k in range(9))
LOOP_FRAMES = 60
POINTS = 10


def network_of(frames: int, fps: float) -> MultitaskNetwork:
    """The shipped pose network with an untrained action model."""
    network = poseact.create_model("tiny", labels=LABELS, person_square=True, frames=frames)
    network.load_state_dict(poseact.load("small-open").state_dict(), strict=False)
    assert isinstance(network, MultitaskNetwork)
    network.card = replace(network.card, fps=fps)
    return network.eval()


def write_video(path: Path, count: int) -> None:
    """A figure that waves its arms in front of noise."""
    rng = np.random.default_rng(0)
    width, height = SIZE
    ground = rng.integers(60, 120, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    heights = {
        **{"head": 60, "neck": 110, "thorax": 130, "shoulder": 130, "elbow": 190, "wrist": 250},
        **{"pelvis": 260, "hip": 262, "knee": 350, "ankle": 440},
    }
    across = {"left": 370.0, "right": 270.0, "centre": 320.0}
    with VideoWriter(path, 30, width, height) as video:
        for k in range(count):
            joints = np.array(
                [(across[PA16.side(j)], heights[j.split("_")[-1]]) for j in PA16.joints]
            )
            for side, way in (("left", 1), ("right", -1)):
                angle = np.sin(k / 5)
                joints[PA16.index(f"{side}_wrist")] += (60 * way, -90 * angle)
            video.write(draw_pose(ground, joints, np.ones(len(PA16)), PA16))


def spent(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds: of the clock, and of all threads of the process."""
    start, start_cpu = time.perf_counter(), time.process_time()
    call()
    return 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - start_cpu)


def parts(network: MultitaskNetwork, runs: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of the parts of a push, and of a window computed as a whole."""
    stream = poseact.Stream(network, device="cpu", people="one")
    image = np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    side, frames = network.config.image_size, network.config.frames
    crops = np.zeros((frames, side, side, 3), np.uint8)
    clip = to_frames(torch.from_numpy(crops)).squeeze(1).unsqueeze(0)
    whole = poseact.fused(network)
    (reading,) = stream.predictor.read(image, [whole_square(*SIZE)])
    recent = recent_frames(stream.network)
    for k in range(3 * frames):
        recent.add(k / 30, reading)

    def head() -> None:
        with single_thread():
            window_answers(stream.network, recent.sequence("the stream"), [recent.last])

    def window() -> None:
        with torch.inference_mode():
            whole(clip)

    calls = {
        "pose": lambda: stream.predictor.crops(crops[:1]),
        "head": head,
        "window": window,
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for run in track(range(runs + 1), "parts", console=Console(stderr=True)):
        for name, call in calls.items():
            milliseconds = spent(call)
            if run:  # the first one warms up
                taken[name].append(milliseconds)
    return {
        clock: {name: round(statistics.median(t[k] for t in taken[name]), 2) for name in calls}
        for k, clock in enumerate(("median_ms", "median_cpu_ms"))
    }


def end_to_end(network: MultitaskNetwork, count: int) -> dict[str, dict[str, float]]:
    stream = poseact.Stream(network, device="cpu", people="one")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.mp4"
        write_video(path, count)
        run_live(stream, live_source(path))  # warms up
        for name, realtime in (("as_fast_as_possible", False), ("real_time", True)):
            stream.reset()
            report = run_live(stream, live_source(path, realtime=realtime))
            rows[name] = {
                "fps": round(report.fps, 1),
                "latency_p50_ms": round(report.latency.p50_ms, 1),
                "latency_p95_ms": round(report.latency.p95_ms, 1),
                "dropped": report.dropped,
            }
    return rows


def memory(network: MultitaskNetwork, count: int) -> dict[str, object]:
    """Resident memory in MB during a long run (Linux)."""
    stream = poseact.Stream(network, device="cpu", people="one")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.mp4"
        write_video(path, LOOP_FRAMES)
        with VideoReader(path) as video:
            images = [frame.image for frame in video]
    points = [count * (k + 1) // POINTS for k in range(POINTS)]
    resident: dict[int, float] = {}
    start = time.perf_counter()
    for k in track(range(count), "frames", console=Console(stderr=True)):
        stream.push(images[k % len(images)], k / 30)
        if k + 1 in points:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident[k + 1] = round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    return {
        "frames": count,
        "seconds": round(time.perf_counter() - start, 1),
        "resident_mb": resident,
        "growth_mb_after_first_point": round(resident[points[-1]] - resident[points[0]], 1),
        "frames_kept": len(stream),
    }


def speed(network: MultitaskNetwork, video: int, runs: int) -> dict[str, object]:
    """End to end and in parts."""
    rows, medians = end_to_end(network, video), parts(network, runs)
    ratios = {}
    for name, clock in (("window_per_head", "median_ms"), ("window_per_head_cpu", "median_cpu_ms")):
        ratios[name] = round(medians[clock]["window"] / medians[clock]["head"], 1)
    wall = medians["median_ms"]
    ratios["window_per_frame"] = round(wall["window"] / (wall["pose"] + wall["head"]), 1)
    return {"end_to_end": rows, **medians, **ratios}


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--window", type=int, default=16, help="frames of a window")
    parser.add_argument("--fps", type=float, default=10, help="of a window")
    parser.add_argument("--video", type=int, default=300, help="frames of the video")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument(
        "--frames", type=int, default=0, help=f"watch the memory over so many, {POINTS} or more"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    if args.frames and args.frames < POINTS:
        parser.error(f"--frames {args.frames} was given; give {POINTS} or more.")
    network = network_of(args.window, args.fps)
    found = memory(network, args.frames) if args.frames else speed(network, args.video, args.runs)
    result = {
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "load": round(os.getloadavg()[0], 2),
        },
        "window": {"frames": args.window, "fps": args.fps},
        "picture": "{}x{}".format(*SIZE),
        **found,
    }
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if args.out:
        with replacing(args.out) as temporary:
            temporary.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
