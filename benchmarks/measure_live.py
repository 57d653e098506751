"""Live answers on one core, for benchmarks/speed.py: rate, latency, and memory over many frames.

    python benchmarks/measure_live.py --people 4
    python benchmarks/measure_live.py --frames 100000

One process answers a film of 640x480 with so many people, picture by picture; decoding is not
counted. The heads are untrained, which does not change their speed. The resident memory is taken
ten times, the first time after a tenth of the frames. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import one_core
from rich.console import Console
from rich.progress import track

SIZE = (640, 480)
FILM_FRAMES = 30
POINTS = 10
ACTIONS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--people", type=int, default=1, choices=(1, 4))
    parser.add_argument("--frames", type=int, default=600, help=f"at least {POINTS}")
    parser.add_argument("--runtime")
    args = parser.parse_args()
    one_core.pin()
    sys.stdout.write(json.dumps(measure(args.people, args.frames, args.runtime)) + "\n")


def measure(people: int, count: int, runtime: str | None) -> dict[str, object]:
    """Rate, latency and memory of a stream of so many frames."""
    import poseact

    stream = poseact.Stream(action_network(), runtime=runtime)
    pictures = film(people)
    for k in range(2 * FILM_FRAMES):
        stream.push(pictures[k % FILM_FRAMES], k / 30)
    stream.reset()
    points = [count * (k + 1) // POINTS for k in range(POINTS)]
    resident: dict[int, float] = {}
    answered = []
    begun = time.perf_counter()
    for k in track(range(count), f"{people} live", console=Console(stderr=True)):
        arrived = time.perf_counter()
        answered.append(len(stream.push(pictures[k % FILM_FRAMES], k / 30, arrived)))
        if k + 1 in points:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident[k + 1] = round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    seconds = time.perf_counter() - begun
    latency = stream.latency()
    running = stream.predictor.reader.runtime
    return {
        "people": statistics.median(answered),
        "runtime": f"{running.name} {running.precision}",
        "frames": count,
        "fps": round(count / seconds, 1),
        "p50_ms": round(latency.p50_ms, 1),
        "p95_ms": round(latency.p95_ms, 1),
        "head_ms": head_ms(stream.network, stream.predictor, pictures[0]),
        "resident_mb": resident,
        "growth_mb": round(resident[points[-1]] - resident[points[0]], 1),
        "frames_kept": len(stream),
    }


def action_network():
    """The default pose network with untrained heads of the kind that train-actions trains."""
    import poseact
    from poseact.inference.predictor import DEFAULT_WEIGHTS
    from poseact.models.multitask import MultitaskNetwork, for_actions
    from poseact.training.new_heads import FPS, FRAMES, WIDTH

    pose = for_actions(poseact.load(DEFAULT_WEIGHTS))
    assert isinstance(pose, MultitaskNetwork)
    config = replace(
        pose.config,
        labels=tuple(f"action{k}" for k in range(ACTIONS)),
        person_square=True,
        heads="temporal",
        head_width=WIDTH,
        frames=FRAMES,
    )
    network = config.build()
    network.load_state_dict(pose.state_dict(), strict=False)
    network.card = replace(pose.card, fps=FPS)
    return network.eval()


def film(people: int) -> list[np.ndarray]:
    """A photo of a person that sways, alone or four times beside and above one another."""
    from poseact.runtime.int8_photos import shipped_photos

    side = SIZE[1] if people == 1 else SIZE[1] // 2
    photo = shipped_photos(side).crops[0]
    pictures = []
    for k in range(FILM_FRAMES):
        picture = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
        shift = round(side / 24 * np.sin(2 * np.pi * k / FILM_FRAMES))
        moved = cv2.warpAffine(photo, np.array([[1.0, 0, shift], [0, 1, 0]]), (side, side))
        for number in range(people):
            left = number % 2 * (SIZE[0] // 2) if people > 1 else (SIZE[0] - side) // 2
            top = number // 2 * side
            picture[top : top + side, left : left + side] = moved
        pictures.append(picture)
    return pictures


def head_ms(network, predictor, picture: np.ndarray) -> float:
    """Median milliseconds of the action heads for one window of one person."""
    from poseact._utils.device import single_thread
    from poseact.actions.answers import recent_frames
    from poseact.actions.clip_inputs import read_windows
    from poseact.media.crop import whole_square

    (reading,) = predictor.read(picture, [whole_square(*SIZE)])
    recent = recent_frames(network)
    for k in range(3 * network.config.frames):
        recent.add(k / 30, reading)
    times = []
    with single_thread():
        for _ in range(30):
            before = time.perf_counter()
            read_windows(network, recent.sequence("the stream"), [recent.last])
            times.append(time.perf_counter() - before)
    return round(1e3 * statistics.median(times), 2)


if __name__ == "__main__":
    main()
