"""Networks with new action heads on top of a frozen pose network, or for poses alone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Literal

from torch import nn

from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.models.action import STREAMS
from poseact.models.card import Card
from poseact.models.multitask import MultitaskNetwork, for_actions
from poseact.models.sequence import ActionNetwork, SequenceConfig
from poseact.models.window_heads import WindowHeads
from poseact.training.background_set import fits_background, read_background

Streams = Literal["both", "pose"]

FRAMES, FPS = 32, 15.0
"""Default T and frame rate of the windows."""

WIDTH = 96
"""Default width of trained heads."""


def build_network(
    sequences: Sequence[PoseSequence],
    streams: Streams,
    pose_network: MultitaskNetwork | None,
    frames: int,
    fps: float,
    *,
    heads: Literal["temporal", "prototypes"],
    width: int = WIDTH,
) -> ActionNetwork:
    """A network with new heads for the labels of the sequences.

    Args:
        sequences: Their labels are the actions.
        streams: ``both`` pose and appearance, or ``pose`` alone.
        pose_network: The network that gave the sequences; its stem and pose model are kept. None
            for a :class:`~poseact.models.sequence.SequenceNetwork`.
        frames: T of the windows.
        fps: Frame rate of the windows.
        heads: Their kind.
        width: Of temporal heads.

    Raises:
        PoseActError: There are fewer than two labels, or the appearance stream has no network
            that gives its features.
    """
    labels = tuple(sorted({s.label for s in sequences if s.label is not None}))
    if len(labels) < 2:
        raise PoseActError(
            f"The sequences have {len(labels)} different labels; give at least 2 actions."
        )
    if pose_network is not None:
        return _on_top_of(pose_network, labels, streams, frames, fps, heads, width)
    if streams != "pose":
        raise PoseActError(
            "The appearance stream needs the network that gave its features; give "
            "pose_network, or streams='pose'."
        )
    network = SequenceConfig(
        sequences[0].skeleton,
        labels,
        frames=frames,
        coordinates=min(sequence.joints.shape[-1] for sequence in sequences),
        heads=heads,
        head_width=width,
    ).build()
    network.card = Card(fps=fps)
    return network


def with_new_heads(network: ActionNetwork) -> ActionNetwork:
    """A copy of the network with newly initialised heads; all other parts are shared."""
    heads = window_heads(network)
    other = deepcopy(network, {id(part): part for part in network.children() if part is not heads})
    for layer in window_heads(other).modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            layer.reset_parameters()
    return other


def window_heads(network: ActionNetwork) -> WindowHeads:
    """The heads of a network that was built here."""
    assert isinstance(network.action_model, WindowHeads)
    return network.action_model


def _on_top_of(
    pose_network: MultitaskNetwork,
    labels: tuple[str, ...],
    streams: Streams,
    frames: int,
    fps: float,
    heads: Literal["temporal", "prototypes"],
    width: int,
) -> MultitaskNetwork:
    if pose_network.folded:
        raise PoseActError("A folded copy of a network was given; give the original network.")
    compared = streams == "both" and fits_background(pose_network)
    network = replace(
        for_actions(pose_network).config,
        labels=labels,
        streams=STREAMS if streams == "both" else STREAMS[:1],
        person_square=True,
        frames=frames,
        heads=heads,
        head_width=width,
        background=len(read_background().appearance) if compared else 0,
    ).build()
    for part in ("stem", "pose_model"):
        getattr(network, part).load_state_dict(getattr(pose_network, part).state_dict())
    network.card = replace(pose_network.card, fps=fps, temperature=1.0, unknown_below=None)
    return network
