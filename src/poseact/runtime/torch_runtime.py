"""PyTorch as a runtime, on the CPU or a GPU."""

from __future__ import annotations

import numpy as np
import torch

from poseact._utils.device import on_device
from poseact.runtime.graphs import Graph
from poseact.runtime.interface import Precision, RuntimeName


class TorchRuntime:
    """Runs a graph in PyTorch.

    Args:
        graph: To run.
        device: Where to run; by default CUDA where there is one.
        precision: ``bf16`` runs matrix products and convolutions in half the digits.

    Raises:
        PoseActError: The device does not exist.
    """

    name: RuntimeName = "torch"

    def __init__(
        self,
        graph: Graph,
        device: str | torch.device | None = None,
        precision: Precision = "fp32",
    ) -> None:
        self.precision: Precision = precision
        self.module = graph.module

        def start(device: torch.device) -> torch.device:
            self.device, self.module = device, graph.module.to(device)
            self(*(example[:1].numpy() for example in graph.inputs.values()))
            return device

        self.device = on_device(device, start)

    @torch.inference_mode()
    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        tensors = [torch.from_numpy(array).to(self.device) for array in inputs]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            outputs = self.module(*tensors)
        return [output.float().cpu().numpy() for output in outputs]
