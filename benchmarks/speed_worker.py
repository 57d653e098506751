"""One competitor of benchmarks/speed.py: a process that runs once for every line it reads.

    python benchmarks/speed_worker.py RUNTIME PRECISION NETWORK
    python benchmarks/speed_worker.py mediapipe - PICTURE
    python benchmarks/speed_worker.py movenet fp32 FILE

RUNTIME is one of PoseAct's, ``network`` for a preset's forward pass in PyTorch as any commit of
PoseAct runs it, ``mediapipe`` (full, in video mode), or ``movenet`` for the published MoveNet of a
file that tools/convert_movenet.py wrote: trunk and heads as PoseAct rebuilds them, exported to ONNX
Runtime, without the steps that read joints out of the maps. It prints a line of JSON facts when it
is ready, and then the seconds of each run.
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
    import poseact  # before PyTorch, so that it can say how threads wait, as in every command

    import torch  # isort: skip

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


def movenet(file: str) -> tuple[Callable[[], object], dict[str, Any]]:
    """The published MoveNet's trunk and heads on a crop of 192 px (lightning) or 256 px."""
    import tempfile
    from pathlib import Path

    import numpy as np
    import torch

    from poseact.media.crop import to_frames
    from poseact.models.pyramid_stem import PyramidHead, PyramidStem
    from poseact.runtime.convert import write_onnx
    from poseact.runtime.graphs import Graph
    from poseact.runtime.interface import threads_here
    from poseact.runtime.onnx_runtime import OnnxRuntime
    from poseact.weights.movenet import read_stem

    stem = read_stem(file)
    heads = {
        name.split(".")[1]: len(value)
        for name, value in stem.tensors.items()
        if name.startswith("heads.") and name.endswith("to_maps.weight")
    }

    class MoveNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = PyramidStem(stem.width)
            self.heads = torch.nn.ModuleDict({k: PyramidHead(maps) for k, maps in heads.items()})

        def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
            finest = self.trunk(to_frames(crops).squeeze(1)).stride4
            return tuple(head(finest) for head in self.heads.values())

    network = MoveNet().eval()
    network.load_state_dict(stem.tensors)
    size = 192 if stem.name == "lightning" else 256
    crop = torch.zeros((1, size, size, 3), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movenet.onnx"
        write_onnx(Graph(network, {"crops": crop}, tuple(heads), {}), path)
        run = OnnxRuntime(path)
    random = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    return lambda: run(random), {"threads": threads_here(), "movenet": stem.name}


def main(runtime: str, precision: str, name: str) -> None:
    start = {
        "network": lambda: network(name),
        "mediapipe": lambda: mediapipe(name),
        "movenet": lambda: movenet(name),
    }
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
