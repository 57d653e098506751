"""Single networks, for benchmarks/speed.py: runtimes and competitors, presets, an earlier commit.

Every competitor is a process of its own (benchmarks/speed_worker.py), and all of a group run in
turn, so that a busy moment hits all of them. Each starts when the machine is quiet, as for a user.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from torch.utils.flop_counter import FlopCounterMode

import poseact
from poseact._utils.device import cores_are_free
from poseact.inference.predictor import DEFAULT_WEIGHTS
from poseact.models.presets import PRESETS, num_parameters
from poseact.runtime.interface import computes_in, has_bf16, installed

MOST_SETTLING_S = 30.0
WORKER = Path(__file__).with_name("speed_worker.py")
# What OpenMP does by default; the earlier commit asks for threads that wait passively.
SPINNING = {"GOMP_SPINCOUNT": "300000"}


class Entry(NamedTuple):
    """A competitor: arguments of the worker, its Python, and what its environment has more."""

    arguments: list[str]
    python: str = sys.executable
    variables: Mapping[str, str] = MappingProxyType({})


class Competitor:
    """A worker process under way."""

    def __init__(self, entry: Entry) -> None:
        _settle()
        self.process = subprocess.Popen(
            [entry.python, str(WORKER), *entry.arguments],
            env={**os.environ, **entry.variables},
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


def _settle() -> None:
    """Wait for a quiet machine, by which a process chooses how its threads wait."""
    until = time.monotonic() + MOST_SETTLING_S
    while not cores_are_free() and time.monotonic() < until:
        time.sleep(0.5)


def interleaved(wanted: dict[str, Entry], runs: int) -> dict[str, dict[str, Any]]:
    """Median milliseconds of competitors that run in turn, with their facts."""
    competitors = {name: Competitor(entry) for name, entry in wanted.items()}
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


def runtimes(
    runs: int, picture: Path, mediapipe: str | None, movenet: Path | None
) -> dict[str, dict[str, Any]]:
    """The default weights in every runtime and precision, MediaPipe and MoveNet.

    Args:
        runs: Of each.
        picture: Photo for MediaPipe.
        mediapipe: Python of an environment that has it.
        movenet: File of a converted MoveNet.
    """
    wanted = {
        f"{name} {precision}": Entry([name, precision, DEFAULT_WEIGHTS])
        for name in installed()
        for precision in ("fp32", "bf16", "int8")
        if computes_in(name, precision) and (precision != "bf16" or has_bf16())
    }
    if movenet is not None:
        wanted["MoveNet's graph in onnx fp32"] = Entry(["movenet", "fp32", str(movenet)])
    if mediapipe:
        wanted["MediaPipe full"] = Entry(["mediapipe", "-", str(picture)], mediapipe)
    return interleaved(wanted, runs)


def presets(names: list[str], runs: int, earlier: Path | None) -> dict[str, Any]:
    """Size of presets, and their forward pass in PyTorch, now and as an earlier commit runs it.

    That lets threads wait passively; it runs with spinning ones too.
    """
    result = {}
    for name in names:
        arguments = ["network", "fp32", name]
        wanted = {"torch fp32": Entry(arguments)}
        if earlier is not None and name not in ("small", "base"):  # it has not got them
            sources = {"PYTHONPATH": str(earlier / "src")}
            wanted["earlier"] = Entry(arguments, variables=sources)
            wanted["earlier, spinning"] = Entry(arguments, variables=sources | SPINNING)
        network = poseact.create_model(name)
        result[name] = {
            "parameters": num_parameters(network),
            "frames": network.config.frames,
            "gflop": round(gflop(name), 3),
            **interleaved(wanted, runs),
        }
    return result


def gflop(preset: str) -> float:
    """Arithmetic of a picture or clip, 2 for each multiplication with its addition."""
    config = PRESETS[preset]()
    frames = torch.zeros(1, config.frames, 3, config.image_size, config.image_size)
    network = poseact.create_model(preset).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(frames)
    return counter.get_total_flops() / 1e9
