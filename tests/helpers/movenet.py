"""MoveNet as published: the stem with all of its heads, and MoveNet's decoding of one person."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseact.models.pyramid_stem import PyramidHead, PyramidStem
from poseact.weights.movenet import read_stem

CELL_BIAS = 1.8
"""Cells added to a distance before a score is divided by it."""


class PublishedMoveNet(nn.Module):
    """``(N, 3, S, S)`` RGB in [-1, 1] to logits by head."""

    def __init__(self, width: float, heads: dict[str, int]) -> None:
        super().__init__()
        self.width = width
        self.trunk = PyramidStem(width)
        self.heads = nn.ModuleDict({name: PyramidHead(maps) for name, maps in heads.items()})

    @classmethod
    def read(cls, path) -> PublishedMoveNet:
        stem = read_stem(path)
        last = ".to_maps.bias"
        heads = {
            name.removeprefix("heads.").removesuffix(last): len(value)
            for name, value in stem.tensors.items()
            if name.endswith(last)
        }
        network = cls(stem.width, heads)
        network.load_state_dict(stem.tensors)
        return network.eval()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        finest = self.trunk(x).stride4
        return {name: head(finest) for name, head in self.heads.items()}


def decode_single(maps: dict[str, Tensor]) -> Tensor:
    """One person as Lightning and Thunder give it: ``(17, 3)`` y, x in [0, 1] and score."""
    heat, centre = maps["kpt_heatmap"][0].sigmoid(), maps["center"][0, 0].sigmoid()
    cells = centre.shape[0]
    grid = torch.arange(cells, dtype=torch.float32)
    # The published table of distances is to the middle of the picture.
    rows, columns = torch.meshgrid(grid, grid, indexing="ij")
    middle = ((rows - cells / 2) ** 2 + (columns - cells / 2) ** 2).sqrt()
    best = int((centre / (middle + CELL_BIAS)).argmax())
    y, x = divmod(best, cells)
    regress = maps["kpt_regress"][0, :, y, x].unflatten(0, (17, 2))
    guess_y, guess_x = y + regress[:, 0], x + regress[:, 1]
    distance = (
        (rows - guess_y[:, None, None]) ** 2 + (columns - guess_x[:, None, None]) ** 2
    ).sqrt()
    places = (heat / (distance + CELL_BIAS)).flatten(1).argmax(1)
    y, x = places // cells, places % cells
    joints = torch.arange(17)
    offset = maps["kpt_offset"][0].unflatten(0, (17, 2))[joints, :, y, x]
    score = heat[joints, y, x]
    return torch.stack(((y + offset[:, 0]) / cells, (x + offset[:, 1]) / cells, score), -1)
