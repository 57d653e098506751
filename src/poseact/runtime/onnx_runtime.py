"""ONNX Runtime as a runtime, on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from poseact.runtime.interface import Precision, RuntimeName, one_by_one, threads_here


class OnnxRuntime:
    """Runs an ONNX file in ONNX Runtime.

    Args:
        file: The model.
    """

    name: RuntimeName = "onnx"
    precision: Precision = "fp32"
    device = "cpu"

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads_here()
        # Threads that spin while they wait take the time of others on a busy machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [one.name for one in self._session.get_inputs()]

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        return one_by_one(self._run, inputs)

    def _run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        outputs = self._session.run(None, dict(zip(self._inputs, inputs, strict=True)))
        return [np.asarray(output) for output in outputs]
