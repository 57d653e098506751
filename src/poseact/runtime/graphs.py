"""Networks with the steps before and after them, as graphs that every runtime can run.

A graph takes arrays as the program has them, 8-bit pictures for instance, and returns a tuple of
arrays. What is converted to another format is a graph, so that the file runs without other
code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.resources import as_file, files
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact._utils.errors import PoseActError
from poseact.layers.softargmax import gather_at_joints, marginals, spread_2d, window_confidence
from poseact.losses import calibrated_skeleton
from poseact.media.crop import DEPTH_RANGE_MM, to_frames
from poseact.models.action import sharpen
from poseact.models.base import Network
from poseact.models.bn_folding import fold_batch_norm
from poseact.models.config import checked_blocks
from poseact.models.multitask import MultitaskNetwork
from poseact.models.outputs import Action
from poseact.models.person_network import PersonNetwork
from poseact.models.sequence import ActionNetwork, SequenceNetwork
from poseact.models.window_heads import WindowHeads
from poseact.runtime.source import PERSON_STRIDE
from poseact.weights.movenet import read_stem

_ACTION_FIELDS = (
    "labels",
    "frames",
    "action_blocks",
    "pose_filters",
    "pose_width",
    "appearance_channels",
    "streams",
    "person_square",
    "heads",
    "head_width",
)


@dataclass(frozen=True)
class Graph:
    """What is run or converted.

    Attributes:
        module: In eval mode; takes the inputs in their order.
        inputs: An example of each input by its name, with 2 along every dynamic axis or more.
        outputs: Names of the outputs.
        dynamic: Axes that may have another size, by input and then by axis: a name, or a number
            times a name for multiples of it.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, str]]


class CropOutputs(NamedTuple):
    """Outputs of a :class:`PoseGraph`, see :class:`~poseact.runtime.pose_reader.CropReading`."""

    joints: Tensor
    confidence: Tensor
    sharpness: Tensor
    spread: Tensor
    appearance: Tensor


class PoseGraph(nn.Module):
    """``(N, S, S, 3)`` uint8 RGB crops to :class:`CropOutputs`.

    Args:
        network: Reads poses in pictures.
        num_blocks: Prediction blocks to run.
    """

    def __init__(self, network: Network, num_blocks: int) -> None:
        super().__init__()
        self.network = fold_batch_norm(network).float()
        self.num_blocks = num_blocks
        self.calibrated = calibrated_skeleton(network) is not None
        self.has_depth = network.config.dims == 3
        joints = network.config.skeleton.joints
        self.pelvis = joints.index("pelvis") if "pelvis" in joints else None

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        prediction = self.network(to_frames(crops), num_blocks=self.num_blocks)
        joints, confidence, heatmaps = (part.squeeze(1) for part in prediction.pose)
        appearance = gather_at_joints(heatmaps, prediction.features.squeeze(1))
        # An output of its own, even where it is the confidence.
        sharpness = confidence.clone() if self.calibrated else window_confidence(heatmaps)
        spread = spread_2d(marginals(heatmaps))
        if self.has_depth:
            depth = joints[..., 2:]
            root = 0.5 if self.pelvis is None else depth[:, self.pelvis : self.pelvis + 1]
            joints = torch.cat((joints[..., :2], (depth - root) * DEPTH_RANGE_MM), -1)
        # torch.export saves plain tuples alone.
        return tuple(CropOutputs(joints, confidence, sharpness, spread, appearance))


def pose_graph(network: Network, num_blocks: int | None) -> Graph:
    """The graph that reads poses in crops.

    Args:
        network: Its actions are left out.
        num_blocks: Prediction blocks to run, None for all.

    Raises:
        PoseActError: The network reads no pictures or has fewer blocks.
    """
    network = without_actions(network)
    size = network.config.image_size
    crops = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    module = PoseGraph(network, checked_blocks(num_blocks, network.num_blocks)).eval()
    return Graph(module, {"crops": crops}, CropOutputs._fields, {"crops": {0: "N"}})


def without_actions(network: Network) -> Network:
    """The network without its action part, which is not run for every picture.

    Raises:
        PoseActError: It reads no pictures.
    """
    if isinstance(network, SequenceNetwork):
        raise PoseActError(
            "The weights recognise actions from poses and read no pictures; give the weights of a "
            "pose network, such as small-open."
        )
    if not isinstance(network, MultitaskNetwork) or not network.config.labels or network.folded:
        return network
    # The same whatever the actions are, so that a conversion serves all that are trained on it.
    shape = {field.name: field.default for field in fields(network.config)}
    alone = replace(network.config, **{name: shape[name] for name in _ACTION_FIELDS}).build()
    state = network.state_dict()
    alone.load_state_dict({name: state[name] for name in alone.state_dict()})
    alone.card = network.card
    return alone.eval()


class PersonOutputs(NamedTuple):
    """Outputs of a :class:`PersonGraph`, of cells 4 px wide; pairs are y and x.

    Attributes:
        peaks: ``(N, h, w)`` probability that a person's box is centred in a cell; 0 where a
            neighbour's is higher.
        size: ``(N, 2, h, w)`` height and width of that box in cells.
        offset: ``(N, 2, h, w)`` from the cell to the box's centre in cells.
        reach: ``(N, 17, 2, h, w)`` from the cell of a centre to the person's joints in cells.
        joints: ``(N, 17, h, w)`` probability that a joint is in a cell.
        evidence: ``(N, 1, h / 4, w / 4)`` how much a cell of 16 px looks like a part of a person.
    """

    peaks: Tensor
    size: Tensor
    offset: Tensor
    reach: Tensor
    joints: Tensor
    evidence: Tensor


class PersonGraph(nn.Module):
    """``(N, H, W, 3)`` uint8 RGB, sides multiples of 32, to :class:`PersonOutputs`.

    Args:
        network: Finds people.
    """

    def __init__(self, network: PersonNetwork) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # pyright: ignore

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        maps = self.network(to_frames(pictures).squeeze(1))
        highest = F.max_pool2d(maps.centre.unsqueeze(1), 3, 1, 1).squeeze(1)
        peaks = maps.centre * (maps.centre == highest)
        return tuple(
            PersonOutputs(peaks, maps.size, maps.offset, maps.reach, maps.joints, maps.evidence)
        )


def person_graph(weights: str, cells: Tensor) -> Graph:
    """The graph that finds people.

    Args:
        weights: File among the assets of the package.
        cells: ``(C,)`` weights of the backbone's last maps of stride 16 in the evidence.
    """
    with as_file(files("poseact.assets") / weights) as path:
        stem = read_stem(path)
    network = PersonNetwork(stem.width).eval()
    network.load_state_dict(stem.tensors | {"evidence.weight": cells.reshape(1, -1, 1, 1)})
    pictures = torch.zeros((2, 2 * PERSON_STRIDE, 3 * PERSON_STRIDE, 3), dtype=torch.uint8)
    axes = {0: "N", 1: f"{PERSON_STRIDE}*H", 2: f"{PERSON_STRIDE}*W"}
    module = PersonGraph(network).eval()
    return Graph(module, {"pictures": pictures}, PersonOutputs._fields, {"pictures": axes})


class ActionGraph(nn.Module):
    """Windows of poses to calibrated probabilities ``(N, A)`` and familiarity ``(N,)``.

    Below 0 of the latter a motion is unknown; it is 0 for heads that cannot tell.

    Takes joints ``(N, T, J, D)``, x and y in a common unit and z in mm, confidence ``(N, T, J)``
    and, where the network reads it, appearance ``(N, T, J, C)``.

    Args:
        network: Recognises actions in sequences.
    """

    def __init__(self, network: ActionNetwork) -> None:
        super().__init__()
        self.network = fold_batch_norm(network).float()
        if isinstance(self.network, MultitaskNetwork):
            self.network.stem = self.network.pose_model = nn.Identity()  # pyright: ignore
        self.temperature = network.card.temperature
        heads = self.network.action_model
        self.heads = heads if isinstance(heads, WindowHeads) and heads.is_fitted else None

    def forward(
        self, joints: Tensor, confidence: Tensor, appearance: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        dims = self.network.config.dims
        joints = joints[..., :dims]
        joints = torch.cat((joints[..., :2], joints[..., 2:] / DEPTH_RANGE_MM + 0.5), -1)
        confidence = sharpen(confidence, dims)
        if self.heads is None:
            probabilities = self._calibrated(self.network.recognise(joints, confidence, appearance))
            return probabilities, torch.zeros_like(probabilities[:, 0])
        answers, looks = self.heads.read(joints, confidence, appearance)
        return self._calibrated(answers), self.heads.above_least(looks)

    def _calibrated(self, answers: dict[str, list[Action]]) -> Tensor:
        return (answers["fused"][-1].log_probabilities / self.temperature).softmax(-1)


class ActionStreamGraph(ActionGraph):
    """The same frame by frame: takes a frame and the state, the inputs of the last T frames."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore
        half = len(inputs) // 2
        new, window = inputs[:half], inputs[half:]
        window = [
            torch.cat((old[:, 1:], one.unsqueeze(1)), 1)
            for one, old in zip(new, window, strict=True)
        ]
        return (*super().forward(*window), *window)


def action_graphs(network: ActionNetwork, pose: Network) -> dict[str, Graph]:
    """The graphs ``actions`` and ``actions_stream``.

    Args:
        network: Recognises actions in sequences.
        pose: Reads the poses.
    """
    frames, joints, dims = network.config.frames, network.config.num_joints, pose.config.dims
    shapes = {"joints": (joints, dims), "confidence": (joints,)}
    if "appearance" in getattr(network.config, "streams", ()):
        shapes["appearance"] = (joints, network.config.appearance_size)  # pyright: ignore
    window = {name: torch.rand(2, frames, *shape) for name, shape in shapes.items()}
    frame = {name: values[:, 0].clone() for name, values in window.items()}
    state = {f"last_{name}": values for name, values in window.items()}
    batch = {0: "N"}
    return {
        "actions": Graph(
            ActionGraph(network).eval(),
            window,
            ("probabilities", "familiarity"),
            dict.fromkeys(window, batch),
        ),
        "actions_stream": Graph(
            ActionStreamGraph(network).eval(),
            frame | state,
            ("probabilities", "familiarity", *(f"next_{name}" for name in window)),
            dict.fromkeys(frame | state, batch),
        ),
    }
