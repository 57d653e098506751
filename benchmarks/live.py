"""Speed of live answers on this machine: end to end, and the stream against whole windows.

    OMP_WAIT_POLICY=passive python benchmarks/live.py --out benchmarks/live.json

End to end means: a generated video of 640x480 is decoded, the person followed and every frame
answered, as fast as possible, and then at the video's own pace of 30 frames per second with the
policy that drops frames. The action weights are untrained, which does not change the speed. The
parts are medians of runs that are interleaved, so that a busy moment hits all of them. ``--soak N``
also pushes N small pictures into one stream and watches the memory.
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
from poseact.actions.answer import recent_frames
from poseact.actions.inputs import window_answers
from poseact.crop import to_frames, whole_window
from poseact.draw import draw_pose
from poseact.files import replacing
from poseact.inference.live import run_live
from poseact.inference.source import live_source
from poseact.media import VideoWriter
from poseact.models.multitask import MultitaskNetwork
from poseact.skeleton import PA16

SIZE = (640, 480)
LABELS = tuple(f"action{k}" for k in range(9))
SOAK_SIZE = (64, 48)


def network_of(frames: int, fps: float, **changes: int) -> MultitaskNetwork:
    """The shipped pose network with an untrained action model."""
    pose = poseact.load("tiny-open")
    network = poseact.create_model(
        "tiny", labels=LABELS, person_square=True, frames=frames, **changes
    )
    if not changes:
        network.load_state_dict(pose.state_dict(), strict=False)
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


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def parts(network: MultitaskNetwork, runs: int) -> dict[str, float]:
    """Median milliseconds: a push, its parts, and a window computed as a whole."""
    stream = poseact.Stream(network, device="cpu")
    image = np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    side, frames = network.config.image_size, network.config.frames
    crops = np.zeros((frames, side, side, 3), np.uint8)
    clip = to_frames(torch.from_numpy(crops)).squeeze(1).unsqueeze(0)
    whole = poseact.fused(network)
    (reading,) = stream.predictor.read(image, [whole_window(*SIZE)])
    recent = recent_frames(stream.network)
    for k in range(3 * frames):
        recent.add(k / 30, reading)

    def head() -> None:
        window_answers(stream.network, recent.sequence("the stream"), [recent.last])

    def window() -> None:
        with torch.inference_mode():
            whole(clip)

    calls = {
        "pose": lambda: stream.predictor.crops(crops[:1]),
        "head": head,
        "window": window,
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for run in track(range(runs + 1), "parts", console=Console(stderr=True)):
        for name, call in calls.items():
            spent = seconds(call)
            if run:  # the first one warms up
                taken[name].append(spent)
    return {name: round(1000 * statistics.median(spent), 2) for name, spent in taken.items()}


def end_to_end(network: MultitaskNetwork, count: int) -> dict[str, dict[str, float]]:
    stream = poseact.Stream(network, device="cpu")
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


def soak(count: int) -> dict[str, float]:
    """Resident memory in MB during a long run, on small pictures with a small network (Linux)."""
    small = {"channels": 16, "low_channels": 16, "num_blocks": 1, "action_blocks": 1}
    network = network_of(8, 10, image_size=32, **small)
    stream = poseact.Stream(network, device="cpu")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (*SOAK_SIZE[::-1], 3), np.uint8) for _ in range(16)]
    resident = {}
    start = time.perf_counter()
    for k in track(range(count), "soak", console=Console(stderr=True)):
        stream.push(images[k % len(images)], k / 30)
        if k in (count // 10, count - 1):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident[k] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    early, late = resident.values()
    return {
        "frames": count,
        "seconds": round(time.perf_counter() - start, 1),
        "mb_after_a_tenth": round(early, 1),
        "mb_at_the_end": round(late, 1),
        "frames_kept": len(stream),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--frames", type=int, default=16, help="of a window")
    parser.add_argument("--fps", type=float, default=10, help="of a window")
    parser.add_argument("--video", type=int, default=300, help="frames of the video")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--soak", type=int, default=0, help="small pictures in one long run")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()
    network = network_of(args.frames, args.fps)
    rows = end_to_end(network, args.video)
    milliseconds = parts(network, args.runs)
    result = {
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "load": round(os.getloadavg()[0], 2),
        },
        "window": {"frames": args.frames, "fps": args.fps},
        "picture": "{}x{}".format(*SIZE),
        "end_to_end": rows,
        "median_ms": milliseconds,
        "window_per_head": round(milliseconds["window"] / milliseconds["head"], 1),
        "window_per_frame": round(
            milliseconds["window"] / (milliseconds["pose"] + milliseconds["head"]), 1
        ),
    }
    if args.soak:
        result["soak"] = soak(args.soak)
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if args.out:
        with replacing(args.out) as temporary:
            temporary.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
