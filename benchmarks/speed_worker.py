"""One competitor of benchmarks/speed.py: a process that runs once for every line it reads.

    python benchmarks/speed_worker.py RUNTIME PRECISION NETWORK
    python benchmarks/speed_worker.py mediapipe - PICTURE

RUNTIME is one of PoseAct's, ``network`` for a preset's forward pass in PyTorch as any commit of
PoseAct runs it, or ``mediapipe`` (full, in video mode). It prints a line of JSON facts when it is
ready, and then the seconds of each run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def network(preset: str) -> tuple[Callable[[], object], dict[str, Any]]:
    """A preset's forward pass at batch 1, folded, on what its frames say."""
    import torch

    import poseact

    model = poseact.fused(poseact.create_model(preset))
    config = model.config
    shape = (1, config.frames, 3, config.image_size, config.image_size)
    frames = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def run() -> object:
        with torch.inference_mode():
            return model(frames)

    return run, {"torch": torch.__version__, "threads": torch.get_num_threads()}


def reader(runtime: str, precision: str, weights: str) -> tuple[Callable[[], object], dict]:
    """The pose network of weights, or of a preset without any, on one crop."""
    import numpy as np

    import poseact
    from poseact.runtime.interface import threads_here
    from poseact.runtime.pose_reader import open_pose

    source = poseact.create_model(weights).eval() if weights in poseact.PRESETS else weights
    read = open_pose(source, runtime=runtime, precision=precision, device="cpu")
    size = read.facts.image_size
    crop = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    return lambda: read(crop), {"threads": threads_here(), "poseact": poseact.__version__}


def mediapipe(picture: str) -> tuple[Callable[[], object], dict[str, Any]]:
    """MediaPipe Pose full on the same picture as the next frame of a video, tracking included."""
    import cv2
    import mediapipe as mp

    pose = mp.solutions.pose.Pose(model_complexity=1)
    image = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB)
    return lambda: pose.process(image), {"mediapipe": mp.__version__}


def main(runtime: str, precision: str, name: str) -> None:
    start = {"network": lambda: network(name), "mediapipe": lambda: mediapipe(name)}
    # What libraries print would stand among the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    run, facts = start.get(runtime, lambda: reader(runtime, precision, name))()
    for _ in range(3):
        run()
    with os.fdopen(answers, "w", buffering=1) as out:
        out.write(json.dumps(facts) + "\n")
        for _ in sys.stdin:
            before = time.perf_counter()
            run()
            out.write(f"{time.perf_counter() - before}\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
