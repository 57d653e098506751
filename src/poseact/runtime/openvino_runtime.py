"""OpenVINO as a runtime, on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Lock

import numpy as np

from poseact.runtime.interface import Precision, RuntimeName, one_by_one, threads_here

# OpenVINO imports it, and telemetry with it, as long as it is there: half of the time it starts in.
_CONVERTER = "openvino.tools.ovc"

if "openvino" in sys.modules:
    import openvino
else:
    sys.modules[_CONVERTER] = None  # pyright: ignore[reportArgumentType]
    import openvino

    del sys.modules[_CONVERTER]


class OpenVinoRuntime:
    """Runs a model in OpenVINO.

    Args:
        file: ``.xml``, with its weights beside it, or ``.onnx``.
        precision: ``int8`` for a model that was quantised.
        compiled: Folder in which what was compiled for this machine is kept; None to compile it
            again the next time.
    """

    name: RuntimeName = "openvino"
    device = "cpu"

    def __init__(
        self, file: Path, precision: Precision = "fp32", compiled: Path | None = None
    ) -> None:
        self.precision: Precision = precision
        core = openvino.Core()
        if compiled is not None:
            core.set_property({"CACHE_DIR": str(compiled)})
        hints = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads_here(),
        }
        model = file
        if precision == "int8":
            # The file takes any number of crops, but one is up to a quarter faster.
            model = core.read_model(file)
            model.reshape({one: [1, *list(one.partial_shape)[1:]] for one in model.inputs})
        self._request = core.compile_model(model, "CPU", hints).create_infer_request()
        self._free = Lock()

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        return one_by_one(self._run, inputs)

    def _run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        # Threads that share a request get each other's outputs.
        with self._free:
            return list(self._request.infer(inputs).to_tuple())
