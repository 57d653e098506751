"""Muon: momentum with orthogonalised updates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn

# Coefficients of the quintic Newton-Schulz iteration that bring every singular value near one in
# five steps (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalised(matrix: Tensor) -> Tensor:
    """The ``(m, n)`` matrix with the same singular vectors and singular values near one.

    Every iteration multiplies the matrix by a factor that its Gram matrix gives. Where the Gram
    matrix is much smaller, the factors are multiplied first, which takes half of the time.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp_min(1e-7)
    if x.shape[1] < 2 * x.shape[0]:
        for _ in range(_ITERATIONS):
            x = _factor(x @ x.T) @ x
        return x.T if tall else x
    gram = x @ x.T
    factor = product = _factor(gram)
    for _ in range(_ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        product = factor @ product
    x = product @ x
    return x.T if tall else x


def _factor(gram: Tensor) -> Tensor:
    a, b, c = _QUINTIC
    factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal().add_(a)
    return factor


class Muon(torch.optim.Optimizer):
    """Muon for convolution kernels, taken as matrices, and Adam for all other weights.

    ``torch.optim.Muon`` takes matrices only, and computes in bfloat16, which is slow on processors
    without it. Adam updates depthwise kernels, which mix no channels, normalisations and biases.
    The processes of a distributed run divide the matrices among them.

    Args:
        network: Network to optimise.
        lr: Learning rate of Adam.
        matrix_lr: Learning rate of Muon, about the norm of a step per singular vector.
        momentum: Momentum of Muon.
        weight_decay: Weight decay of Muon.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float,
        matrix_lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        matrices = [p for p in network.parameters() if _mixes_channels(p)]
        others = [p for p in network.parameters() if not _mixes_channels(p)]
        groups: Iterable[dict[str, Any]] = [
            {"params": others, "lr": lr, "momentum": None, "decay": 0.0},
            {"params": matrices, "lr": matrix_lr, "momentum": momentum, "decay": weight_decay},
        ]
        super().__init__(groups, {"betas": (0.9, 0.999), "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            if group["momentum"] is None:
                self._adam(group)
            else:
                self._muon(group)
        return loss

    def _muon(self, group: dict[str, Any]) -> None:
        rank, processes = _place()
        matrices = [p for p in group["params"] if p.grad is not None]
        for number, matrix in enumerate(matrices):
            state = self.state[matrix]
            if not state:
                state["mean"] = torch.zeros_like(matrix)
            mean = state["mean"]
            mean.lerp_(matrix.grad, 1 - group["momentum"])
            if number % processes != rank:
                continue
            ahead = matrix.grad.lerp(mean, group["momentum"]).flatten(1)  # Nesterov
            update = orthogonalised(ahead)
            stretch = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
            matrix.mul_(1 - group["lr"] * group["decay"])
            matrix.add_(update.view_as(matrix), alpha=-group["lr"] * stretch)
        if processes > 1:
            for number, matrix in enumerate(matrices):
                values = matrix.contiguous()  # whatever its memory format
                distributed.broadcast(values, number % processes)
                matrix.copy_(values)

    def _adam(self, group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["step"] = 0
                state["mean"] = torch.zeros_like(parameter)
                state["square"] = torch.zeros_like(parameter)
            state["step"] += 1
            mean, square = state["mean"], state["square"]
            mean.lerp_(parameter.grad, 1 - beta1)
            square.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
            size = group["lr"] / (1 - beta1 ** state["step"])
            spread = (square / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
            parameter.addcdiv_(mean, spread, value=-size)


def _place() -> tuple[int, int]:
    """Number of this process, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _mixes_channels(parameter: Tensor) -> bool:
    return parameter.ndim == 4 and parameter.shape[1] > 1
