"""Base of all runtimes; independent of PyTorch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from poseact._utils.errors import PoseActError

if TYPE_CHECKING:
    import torch

RuntimeName = Literal["torch", "onnx", "openvino"]
Precision = Literal["fp32", "bf16", "int8"]

DEFAULT_PRECISION: Precision = "fp32"

AUTO = "auto"
"""Take the fastest runtime, or the fastest precision that is accurate enough."""

RUNTIME_VARIABLE = "POSEACT_RUNTIME"
"""Environment variable that names the runtime where none is asked for."""

PRECISION_VARIABLE = "POSEACT_PRECISION"
"""The same for the precision."""

RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)

_MODULES: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "onnx": ("onnxruntime", "onnx", "onnxscript"),
    "openvino": ("openvino", "onnx", "onnxscript"),
}

_PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "torch": ("fp32", "bf16"),
    "onnx": ("fp32",),
    "openvino": ("fp32", "bf16", "int8"),
}


class Runtime(Protocol):
    """Runs one graph.

    Attributes:
        name: The runtime.
        precision: Number format of the pose network.
        device: Where it runs.
    """

    name: RuntimeName
    precision: Precision

    @property
    def device(self) -> str | torch.device: ...

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs of the graph, in its order, for inputs in its order.

        The outputs are float32 and stay valid when the graph runs again.
        """
        ...


def installed() -> list[RuntimeName]:
    """The runtimes that this environment has."""
    return [name for name in RUNTIMES if not _missing(name)]


def checked_runtime(runtime: str | None, precision: str | None) -> tuple[str, str]:
    """Validated runtime and precision.

    Args:
        runtime: A name or ``auto``; None for that of the environment variable
            ``POSEACT_RUNTIME``, by default ``auto``.
        precision: A name or ``auto``; None for that of ``POSEACT_PRECISION``, by default ``auto``.

    Raises:
        PoseActError: There is no such runtime or precision, the runtime is not installed, or it
            does not compute in this precision.
    """
    runtime = runtime or os.environ.get(RUNTIME_VARIABLE) or AUTO
    precision = precision or os.environ.get(PRECISION_VARIABLE) or AUTO
    if runtime not in (*RUNTIMES, AUTO):
        raise PoseActError(
            f"runtime={runtime!r} was given; give one of {', '.join(RUNTIMES)} or {AUTO}."
        )
    if precision not in (*get_args(Precision), AUTO):
        raise PoseActError(
            f"precision={precision!r} was given; give one of {', '.join(get_args(Precision))} or "
            f"{AUTO}."
        )
    if runtime != AUTO:
        require_installed(runtime)
    computing = [name for name, known in _PRECISIONS.items() if precision in (*known, AUTO)]
    if runtime not in (*computing, AUTO):
        raise PoseActError(
            f"precision={precision!r} was given for the runtime {runtime}, which computes in "
            f"{' or '.join(_PRECISIONS[runtime])}; take one of these, or the runtime "
            f"{' or '.join(computing)}."
        )
    return runtime, precision


def computes_in(runtime: RuntimeName, precision: Precision) -> bool:
    """Whether a runtime offers a precision."""
    return precision in _PRECISIONS[runtime]


def require_installed(runtime: str) -> None:
    """Refuse a runtime that is not installed.

    Raises:
        PoseActError: It is not.
    """
    missing = _missing(runtime)
    if missing:
        raise PoseActError(
            f"The runtime {runtime} needs {', '.join(missing)}, which this environment lacks; "
            f"install it with: pip install 'poseact[{runtime}]'."
        )


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers in hardware; known on Linux alone."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def threads_here() -> int:
    """Threads that a network may use: PyTorch's where it is loaded, else ``OMP_NUM_THREADS``.

    Without either, the processors that this process may use.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        return torch.get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def one_by_one(
    run: Callable[[list[np.ndarray]], list[np.ndarray]], inputs: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Run the items of a batch one by one, as CPUs should.

    A whole batch is no faster, takes 12 MB more per crop, and is prepared again for each new size.

    Args:
        run: Inputs of the graph to its outputs.
        inputs: ``(N, ...)`` each.
    """
    if len(inputs[0]) == 1:
        return run(list(inputs))
    parts = [run([each[k : k + 1] for each in inputs]) for k in range(len(inputs[0]))]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _missing(runtime: str) -> list[str]:
    return [module for module in _MODULES[runtime] if find_spec(module) is None]
