"""Presets: one small function for each named network, and their creation."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from torch import nn

from poseact._utils.errors import PoseActError
from poseact.models.base import Network
from poseact.models.card import Card
from poseact.models.labels import NTU60, PENN_ACTION
from poseact.models.multitask import MultitaskConfig
from poseact.models.pyramid import SPNetConfig
from poseact.skeleton import PA16, PA17, PA20, PA21, SKELETONS, Skeleton


def cvpr18_mpii() -> MultitaskConfig:
    """2D pose, 16 joints (MPII): 14.7 M trained parameters. CVPR 2018."""
    return MultitaskConfig(skeleton=PA16, num_blocks=8, context_maps=2)


def cvpr18_h36m() -> MultitaskConfig:
    """3D pose, 17 joints (Human3.6M): 16.6 M trained parameters. CVPR 2018."""
    return MultitaskConfig(skeleton=PA17, num_blocks=8, depth_maps=16)


def cvpr18_penn() -> MultitaskConfig:
    """2D pose and 15 actions in clips of 16 frames (Penn Action): 12.8 M. CVPR 2018."""
    return MultitaskConfig(
        skeleton=PA16, labels=PENN_ACTION, frames=16, num_blocks=4, context_maps=2
    )


def cvpr18_ntu() -> MultitaskConfig:
    """3D pose and 60 actions in clips of 20 frames (NTU RGB+D): 16.9 M. CVPR 2018."""
    return MultitaskConfig(
        skeleton=PA20,
        labels=NTU60,
        frames=20,
        num_blocks=4,
        depth_maps=8,
        pose_filters=12,
        pose_width=112,
    )


def spnet_penn() -> SPNetConfig:
    """SPNet for Penn Action, six pyramids, decoupled action maps: 20.2 M. TPAMI 2020."""
    return SPNetConfig(
        skeleton=PA16,
        labels=PENN_ACTION,
        frames=8,
        pyramids=6,
        action_pyramids=(5, 6),
        decoupled=True,
        action_channels=160,
    )


def spnet_ntu() -> SPNetConfig:
    """SPNet for NTU RGB+D, 3D, two pyramids: 12.7 M. TPAMI 2020."""
    return SPNetConfig(
        skeleton=PA17,
        labels=NTU60,
        frames=8,
        pyramids=2,
        action_pyramids=(1, 2),
        depth=True,
        action_channels=192,
    )


def tiny() -> MultitaskConfig:
    """Two blocks with eight depth maps at 128 px, for CPUs; a design of this project.

    With ``labels`` it predicts actions too, with narrow streams.
    """
    return MultitaskConfig(
        skeleton=PA16,
        image_size=128,
        num_blocks=2,
        depth_maps=8,
        stem="light",
        channels=176,
        low_channels=288,
        pose_width=28,
        appearance_channels=48,
    )


def small() -> MultitaskConfig:
    """2D pose, depth and actions on MoveNet Lightning's stem at 192 px; the network of the demo."""
    return MultitaskConfig(
        skeleton=PA21,
        image_size=192,
        num_blocks=2,
        depth_maps=8,
        stem="pyramid",
        channels=128,
        low_channels=160,
        kernel=3,
        pose_width=28,
        appearance_channels=48,
    )


def base() -> MultitaskConfig:
    """The same on Thunder's stem at 256 px: four times the work, better poses."""
    return replace(small(), image_size=256, stem_width=1.75)


PRESETS: dict[str, Callable[[], MultitaskConfig | SPNetConfig]] = {
    "cvpr18-mpii": cvpr18_mpii,
    "cvpr18-h36m": cvpr18_h36m,
    "cvpr18-penn": cvpr18_penn,
    "cvpr18-ntu": cvpr18_ntu,
    "spnet-penn": spnet_penn,
    "spnet-ntu": spnet_ntu,
    "tiny": tiny,
    "small": small,
    "base": base,
}


def preset_config(preset: str, **changes: Any) -> MultitaskConfig | SPNetConfig:
    """The configuration of a preset with some fields changed.

    Besides the fields themselves, ``num_joints`` and ``num_actions`` stand for a skeleton and
    labels without names, and a skeleton may be given by its name.

    Raises:
        PoseActError: Unknown preset or field, or a value out of range.
    """
    if preset not in PRESETS:
        raise PoseActError(
            f"There is no preset {preset!r}; the presets are {', '.join(sorted(PRESETS))}."
        )
    config = PRESETS[preset]()
    for name in ("num_joints", "num_actions"):
        if not isinstance(changes.get(name, 0), int) or changes.get(name, 0) < 0:
            raise PoseActError(f"{name}={changes[name]!r} was given; give a whole number.")
    if "num_joints" in changes:
        changes["skeleton"] = Skeleton.generic(changes.pop("num_joints"))
    if "num_actions" in changes:
        changes["labels"] = [f"action{i}" for i in range(changes.pop("num_actions"))]
    skeleton = changes.get("skeleton")
    if isinstance(skeleton, str):
        changes["skeleton"] = SKELETONS.get(skeleton, skeleton)
    for name in ("labels", "action_pyramids", "streams"):
        if isinstance(changes.get(name), list):
            changes[name] = tuple(changes[name])
    known = [field.name for field in fields(config)]
    for name in changes:
        if name not in known:
            raise PoseActError(
                f"{preset} has no field {name!r}; what can be changed is num_joints, num_actions, "
                f"{', '.join(known)}."
            )
    return replace(config, **changes)


def create_model(preset: str, **changes: Any) -> Network:
    """A network with fresh weights.

    Args:
        preset: One of ``PRESETS``, such as ``"cvpr18-penn"``.
        changes: Fields of the preset's configuration to change, for example ``num_blocks=2``,
            ``labels=("squat", "push_up")`` or ``num_joints=13``.

    Raises:
        PoseActError: Unknown preset or field, or a value out of range.
    """
    network = preset_config(preset, **changes).build()
    network.card = Card(preset)
    return network


def num_parameters(network: nn.Module) -> int:
    """Trained parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
