"""The person detector: MoveNet MultiPose's pyramid with the heads of boxes and joints."""

from typing import NamedTuple

from torch import Tensor, nn

from poseact.layers.conv import Conv2d
from poseact.models.pyramid_stem import PyramidHead, PyramidStem

HEAD_MAPS = {
    "center": 1,
    "box_scale": 2,
    "box_offset": 2,
    "kpt_heatmap": 17,
    "kpt_regress": 34,
}
"""Maps of each head, by its published name."""


class PersonMaps(NamedTuple):
    """Maps of a :class:`PersonNetwork`, of cells 4 px wide; pairs are y and x.

    Attributes:
        centre: ``(N, h, w)`` probability that a person's box is centred in a cell.
        size: ``(N, 2, h, w)`` height and width of that box in cells.
        offset: ``(N, 2, h, w)`` from the cell to the box's centre in cells.
        joints: ``(N, 17, h, w)`` probability that a joint of COCO's skeleton is in a cell.
        reach: ``(N, 17, 2, h, w)`` from the cell of a centre to the person's joints in cells.
        evidence: ``(N, 1, h / 4, w / 4)`` how much a cell of 16 px looks like a part of a person.
    """

    centre: Tensor
    size: Tensor
    offset: Tensor
    joints: Tensor
    reach: Tensor
    evidence: Tensor


class PersonNetwork(nn.Module):
    """``(N, 3, H, W)`` RGB in [-1, 1], sides multiples of 32, to :class:`PersonMaps`.

    Args:
        width: Factor on the backbone's channels.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        self.trunk = PyramidStem(width)
        self.heads = nn.ModuleDict({name: PyramidHead(maps) for name, maps in HEAD_MAPS.items()})
        self.evidence: nn.Module = Conv2d(self.trunk.stage_channels[1], 1, 1)

    def forward(self, x: Tensor) -> PersonMaps:
        pyramid = self.trunk(x)
        finest = pyramid.stride4
        centre, size, offset, joints, reach = (head(finest) for head in self.heads.values())
        centre, joints = centre[:, 0].sigmoid(), joints.sigmoid()
        evidence = self.evidence(pyramid.stage16)
        return PersonMaps(centre, size, offset, joints, reach.unflatten(1, (-1, 2)), evidence)
