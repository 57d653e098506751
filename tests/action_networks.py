"""A small network with untrained action heads, for tests."""

from __future__ import annotations

from dataclasses import replace

import poseact
from poseact.models.base import Network


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
