"""Small networks with untrained weights, for tests."""

from __future__ import annotations

from dataclasses import replace

import torch

import poseact
from poseact.models.base import Network
from poseact.models.multitask import MultitaskConfig
from poseact.models.pyramid import SPNetConfig
from poseact.skeleton import Skeleton

SIZE = 64


def action_network(labels: tuple[str, ...], fps: float | None = 10.0, **card) -> Network:
    network = poseact.create_model(
        "tiny",
        channels=16,
        low_channels=16,
        image_size=32,
        num_blocks=1,
        action_blocks=2,
        labels=labels,
        person_square=True,
        frames=8,
    ).eval()
    network.card = replace(network.card, fps=fps, **card)
    return network


def small(kind: str, joints: int = 16, **changes) -> poseact.Network:
    """The published architectures, narrow and at low resolution so that tests are quick."""
    skeleton = Skeleton.generic(joints)
    labels = tuple("abcde")
    if kind.startswith("spnet"):
        config = SPNetConfig(
            skeleton,
            labels,
            image_size=2 * SIZE,
            pyramids=2,
            action_pyramids=(1, 2) if kind == "spnet-3d" else (2,),
            depth=kind == "spnet-3d",
            decoupled=kind == "spnet-2d",
            action_channels=16,
            channels=24,
            growth=8,
        )
    else:
        config = MultitaskConfig(
            skeleton,
            labels,
            image_size=SIZE,
            num_blocks=2,
            depth_maps=4 if kind == "cvpr18-3d" else 1,
            context_maps=0 if kind == "cvpr18-3d" else 2,
            stem="multitask" if kind == "cvpr18-2d" else "light",
            channels=16,
            low_channels=24,
            pose_width=14,
            appearance_channels=16,
            action_blocks=2,
            **changes,
        )
    return config.build().eval()


KINDS = ("cvpr18-2d", "cvpr18-3d", "spnet-2d", "spnet-3d")


def clip(batch=1, frames=2, size=SIZE):
    return torch.rand(batch, frames, 3, size, size) * 2 - 1
