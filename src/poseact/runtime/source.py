"""Graphs that are built only if their converted files do not suffice."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load

from poseact.runtime.cache import ModelCache
from poseact.runtime.choose import Choice
from poseact.runtime.interface import Precision, Runtime

if TYPE_CHECKING:
    import torch

    from poseact.runtime.graphs import Graph

_log = logging.getLogger(__name__)

PERSON_WEIGHTS = "movenet/person-detector.safetensors"
PERSON_CHECK = "movenet/person-check.safetensors"
"""Weights of the check of doubtful people, see :func:`~poseact.inference.confirm.checked`."""

PERSON_STRIDE = 32
"""What the sides of the person detector's pictures are multiples of."""


class GraphSource(ABC):
    """A graph that any runtime can start.

    Attributes:
        name: What its files are called.
    """

    name: str

    @property
    @abstractmethod
    def cache(self) -> ModelCache:
        """Cache of its converted files."""

    @property
    @abstractmethod
    def graph(self) -> Graph:
        """The graph itself, which needs PyTorch."""

    def converted(self, precision: Precision = "fp32") -> Path:  # noqa: ARG002 - for subclasses
        """Its file for ONNX Runtime and OpenVINO, converted on first use.

        Raises:
            PoseActError: It cannot be written.
        """
        return self.cache.file(f"{self.name}.onnx", self._convert)

    def _single(self) -> Path:
        """The same for batches of one, whose sizes are known beforehand: a sixth faster."""
        return self.cache.file(f"{self.name}-single.onnx", self._write_single)

    def _write_single(self, path: Path) -> None:
        from poseact.runtime.convert import write_single

        write_single(self.converted(), path)

    def _convert(self, path: Path) -> None:
        from poseact.runtime.convert import write_onnx

        _log.warning("The network %r is converted once, which takes a while.", self.name)
        write_onnx(self.graph, path)

    def start(self, choice: Choice, device: str | torch.device | None = None) -> Runtime:
        """The graph in a runtime.

        Raises:
            PoseActError: It cannot run there.
        """
        runtime, precision = choice
        match runtime:
            case "onnx":
                from poseact.runtime.onnx_runtime import OnnxRuntime

                return OnnxRuntime(self._single())
            case "openvino":
                from poseact.runtime.openvino_runtime import OpenVinoRuntime

                compiled = self.cache.folder / "compiled"
                file = self.converted(precision) if precision == "int8" else self._single()
                return OpenVinoRuntime(file, precision, compiled)
            case "torch":
                from poseact.runtime.torch_runtime import TorchRuntime

                return TorchRuntime(self.graph, device, precision)


class PersonSource(GraphSource):
    """The person detector, which is not available in 8-bit numbers."""

    name = "people"

    @cached_property
    def cache(self) -> ModelCache:
        assets = files("poseact.assets")
        return ModelCache(
            *((assets / name).read_bytes() for name in (PERSON_WEIGHTS, PERSON_CHECK))
        )

    @cached_property
    def graph(self) -> Graph:
        import torch

        from poseact.runtime.graphs import person_graph

        return person_graph(PERSON_WEIGHTS, torch.from_numpy(person_check()["cells"]))


@cache
def person_check() -> dict[str, np.ndarray]:
    """Weights of the check: ``cells`` of the evidence, ``facts`` and ``bias``."""
    return load((files("poseact.assets") / PERSON_CHECK).read_bytes())
