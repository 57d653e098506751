"""The pose network in any runtime, and its facts without PyTorch."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.models.card import Card
from poseact.runtime.cache import ModelCache
from poseact.runtime.choose import Choice, choices, fastest, has_gpu
from poseact.runtime.interface import (
    AUTO,
    DEFAULT_PRECISION,
    Precision,
    Runtime,
    RuntimeName,
    checked_runtime,
)
from poseact.runtime.source import GraphSource
from poseact.skeleton import Skeleton
from poseact.weights.weight_files import find_weights, published_weights

if TYPE_CHECKING:
    import torch

    from poseact.models.base import Network
    from poseact.runtime.graphs import Graph, PoseGraph

_FACTS = "facts.json"


class CropReading(NamedTuple):
    """Output of one forward pass on N crops.

    Attributes:
        joints: ``(N, J, D)``, x and y in [0, 1] of the crop and z in mm relative to the pelvis (to
            the network's root where there is no pelvis).
        confidence: ``(N, J)``.
        sharpness: ``(N, J)`` in (0, 1], the confidence where that is the probability of being
            right, else the share of a joint's heat map in its densest 2 x 2 cells.
        spread: ``(N, J, 2)`` standard deviation of a joint's place along x and y, in [0, 1] of the
            crop.
        appearance: ``(N, J, C)`` visual features gathered at the joints by their heat maps.
    """

    joints: np.ndarray
    confidence: np.ndarray
    sharpness: np.ndarray
    spread: np.ndarray
    appearance: np.ndarray


@dataclass(frozen=True)
class PoseFacts:
    """Facts about a pose network.

    Attributes:
        card: Of its weights.
        architecture: Name of its configuration's class.
        skeleton: Its joints.
        labels: Actions that its weights know.
        image_size: Side of a crop in px.
        has_depth: Whether its poses are 3D.
        calibrated: Whether its confidence is the probability that a joint is right.
        num_blocks: Prediction blocks that run.
    """

    card: Card
    architecture: str
    skeleton: Skeleton
    labels: tuple[str, ...]
    image_size: int
    has_depth: bool
    calibrated: bool
    num_blocks: int

    @classmethod
    def of(cls, network: Network, num_blocks: int) -> PoseFacts:
        """Facts of a network that runs ``num_blocks`` blocks."""
        from poseact.losses import calibrated_skeleton

        config = network.config
        return cls(
            network.card,
            type(config).__name__,
            config.skeleton,
            config.labels,
            config.image_size,
            config.dims == 3,
            calibrated_skeleton(network) is not None,
            num_blocks,
        )

    @classmethod
    def read(cls, values: dict[str, Any]) -> PoseFacts:
        """Facts from JSON."""
        skeleton = values["skeleton"]
        limbs = tuple((a, b) for a, b in skeleton["limbs"])
        return cls(
            **{
                **values,
                "card": Card(**values["card"]),
                "skeleton": Skeleton(skeleton["name"], tuple(skeleton["joints"]), limbs),
                "labels": tuple(values["labels"]),
            }
        )


class PoseSource(GraphSource):
    """A pose network whose weights are read only if its converted files do not suffice.

    Args:
        weights: Name of weights, a checkpoint file or a network.
        num_blocks: Prediction blocks to run (default all).
    """

    name = "pose"

    def __init__(self, weights: str | Path | Network, num_blocks: int | None = None) -> None:
        self._weights, self._num_blocks = weights, num_blocks

    @cached_property
    def cache(self) -> ModelCache:
        """Cache of its converted files.

        Raises:
            PoseActError: There are no such weights.
        """
        blocks = str(self._num_blocks).encode()
        if isinstance(self._weights, str | Path):
            file = published_weights(self._weights) or find_weights(self._weights)
            return ModelCache(file.suffix.encode(), file.read_bytes(), blocks)
        network = self._module.network  # without actions, which change nothing here
        kind = f"{type(network).__module__}.{type(network).__qualname__} {network.config}"
        state = [value.numpy(force=True).tobytes() for value in network.state_dict().values()]
        return ModelCache(kind.encode(), *state, blocks)

    @cached_property
    def network(self) -> Network:
        """The network itself.

        Raises:
            PoseActError: The weights cannot be read.
        """
        if not isinstance(self._weights, str | Path):
            return self._weights
        from poseact.weights.checkpoint import load

        return load(self._weights)

    @cached_property
    def graph(self) -> Graph:
        """The graph that reads poses in crops.

        Raises:
            PoseActError: The network reads no pictures or has fewer blocks.
        """
        from poseact.runtime.graphs import pose_graph

        return pose_graph(self.network, self._num_blocks)

    @property
    def _module(self) -> PoseGraph:
        return cast("PoseGraph", self.graph.module)

    @cached_property
    def facts(self) -> PoseFacts:
        """Facts about the network.

        Raises:
            PoseActError: As for :attr:`graph`.
        """
        needed = "graph" in vars(self) or not isinstance(self._weights, str | Path)
        known = None if needed else self.remembered()
        return known or PoseFacts.of(self.network, self._module.num_blocks)

    def remembered(self) -> PoseFacts | None:
        """What was noted when it was converted; None where nothing or something damaged was."""
        with suppress(KeyError, TypeError, ValueError):
            return PoseFacts.read(self.cache.read(_FACTS) or {})
        return None

    def converted(self, precision: Precision = "fp32") -> Path:
        """See :class:`GraphSource`.

        Raises:
            PoseActError: It cannot be written, or 8-bit numbers cost too much.
        """
        if precision != "int8":
            return super().converted()
        from poseact.runtime.int8 import cached_int8

        return cached_int8(self)

    def _convert(self, path: Path) -> None:
        super()._convert(path)
        self.cache.write(_FACTS, asdict(self.facts))


def known_facts(weights: str | Path, num_blocks: int | None = None) -> PoseFacts | None:
    """Facts about weights that were converted before; None for others.

    Raises:
        PoseActError: There are no such weights.
    """
    return PoseSource(weights, num_blocks).remembered()


class PoseReader:
    """Reads poses in crops, in one runtime.

    Args:
        facts: Of the network.
        runtime: Runs its graph.
    """

    def __init__(self, facts: PoseFacts, runtime: Runtime) -> None:
        self.facts, self.runtime = facts, runtime

    def __call__(self, crops: np.ndarray) -> CropReading:
        """Poses in ``(N, S, S, 3)`` uint8 RGB crops of the network's size."""
        return CropReading(*self.runtime(crops))


def open_pose(
    weights: str | Path | Network,
    num_blocks: int | None = None,
    device: str | torch.device | None = None,
    runtime: str | None = None,
    precision: str | None = DEFAULT_PRECISION,
) -> PoseReader:
    """Start a pose network.

    Args:
        weights: Name of weights, a checkpoint file or a network.
        num_blocks: Prediction blocks to run (default all).
        device: Where PyTorch runs it; by default CUDA where there is one.
        runtime: ``torch``, ``onnx``, ``openvino``, or ``auto`` for the one that is installed and
            fastest on this machine, which is measured once and remembered; None for ``auto``, or
            the value of the environment variable ``POSEACT_RUNTIME``.
        precision: ``fp32``, ``bf16``, ``int8``, or ``auto`` for the faster of the first two whose
            poses are the same but for half a percent of the crop; None for ``auto``, or the value
            of the environment variable ``POSEACT_PRECISION``.

    Raises:
        PoseActError: The weights cannot be read or give no poses, ``num_blocks``, the device, the
            runtime or the precision do not exist or do not go together.
    """
    runtime, precision, on_cpu = placed(device, runtime, precision)
    source = PoseSource(weights, num_blocks)
    running = source.start(_chosen(source, runtime, precision, on_cpu), device)
    return PoseReader(source.facts, running)


def placed(
    device: str | torch.device | None, runtime: str | None, precision: str | None
) -> tuple[str, str, bool]:
    """Runtime and precision, as a name or ``auto``, and whether the CPU runs the network.

    Args:
        device: See :func:`open_pose`.
        runtime: See there.
        precision: See there.

    Raises:
        PoseActError: They do not exist or do not go together.
    """
    runtime, precision = checked_runtime(runtime, precision)
    on_cpu = str(device) == "cpu" or (device is None and not has_gpu())
    if not on_cpu and runtime not in ("torch", AUTO):
        if device is not None:
            raise PoseActError(
                f"device={str(device)!r} was given with the runtime {runtime}, which runs on the "
                "CPU; leave the device out, or take the runtime torch."
            )
        on_cpu = True
    if runtime == AUTO and not on_cpu and precision != "int8":
        runtime = "torch"
    return runtime, precision, on_cpu


def _chosen(source: PoseSource, runtime: str, precision: str, on_cpu: bool) -> Choice:
    if AUTO not in (runtime, precision):
        return Choice(cast(RuntimeName, runtime), cast(Precision, precision))
    possible = choices(runtime, precision, on_cpu)
    if len(possible) == 1:
        return possible[0]
    return fastest(possible, source.start, source.facts.image_size, source.cache)
