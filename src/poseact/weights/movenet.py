"""Initialisation of pose networks with published MoveNet weights (Google, Apache-2.0).

``tools/convert_movenet.py`` writes the files from the published graphs. They hold ``trunk.*``, a
:class:`~poseact.models.pyramid_stem.PyramidStem`, and ``heads.NAME.*``, the published heads.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from poseact._utils.boundary import one_sentence, parse_json
from poseact._utils.errors import PoseActError
from poseact.models.base import Network
from poseact.models.pyramid_stem import PyramidEntry
from poseact.skeleton import COCO17

HEADER_KEY = "movenet"
SHARPNESS = 2.0
"""Factor on the published logits, which were learnt for sigmoids, under a soft-argmax."""

CHECKSUMS = {
    "lightning": "7db07ffaa9a49aea7310370bc754258183d6124fb53303a2e5a4fe06aac0a6f6",
    "thunder": "d2b54affa77fb65cf676b5d621530e93e1ff767d4e594721c71a7afac0197f31",
    "multipose": "2e18faec4ca2b54c1e7ec48c4017a29e51ef52230d2c4268b21719b17d25fa4c",
    "person-detector": "b3aea06d52214da7cde1a81e6f21148ff0d2c6b65fef6e69ad2b7b41bcd518f3",
}
"""SHA-256 of the tensors of each converted file, by the model's name."""


class StemFile(NamedTuple):
    """A converted MoveNet.

    Attributes:
        name: ``lightning``, ``thunder``, ``multipose``, or ``person-detector``, a part of the last.
        width: Factor on the backbone's channels.
        provenance: Where it comes from and its licence.
        tensors: By name.
    """

    name: str
    width: float
    provenance: dict[str, Any]
    tensors: dict[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below a prefix, without it."""
        return {
            name.removeprefix(prefix): value
            for name, value in self.tensors.items()
            if name.startswith(prefix)
        }


def digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and float32 values in the order of the names."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].float().contiguous()
        sha.update(f"{name}{tuple(value.shape)}".encode())
        sha.update(value.numpy().tobytes())
    return sha.hexdigest()


def read_stem(path: str | Path) -> StemFile:
    """Read a converted file.

    Raises:
        PoseActError: It is missing, cut off, no converted MoveNet, or its tensors are not the
            published ones.
    """
    with one_sentence(
        f"{path} is not a converted MoveNet, or is cut off ({{error}}); write it with "
        "tools/convert_movenet.py."
    ):
        with safe_open(path, "pt") as file:
            header = parse_json((file.metadata() or {})[HEADER_KEY])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        stem = StemFile(header["name"], float(header["width"]), header["provenance"], tensors)
    if digest(tensors) != CHECKSUMS.get(stem.name):
        raise PoseActError(
            f"{path} does not hold the published MoveNet {stem.name}: its checksum differs; write "
            "it again with tools/convert_movenet.py."
        )
    return stem


@torch.no_grad()
def begin_with_stem(network: Network, path: str | Path) -> None:
    """Initialise a network with a published trunk and the published joint maps.

    Joints that MoveNet does not predict start with zero weights.

    Raises:
        PoseActError: As :func:`read_stem`, or the network has no pyramid stem of this width.
    """
    stem = read_stem(path)
    entry = getattr(network, "stem", None)
    if not isinstance(entry, PyramidEntry):
        raise PoseActError(
            f"stem: {path} was given for a network without a pyramid stem; give the preset small "
            "or base, or leave it out."
        )
    width = getattr(network.config, "stem_width", None)
    if width != stem.width:
        raise PoseActError(
            f"stem: {path} is MoveNet {stem.name} of width {stem.width}, but the network's "
            f"stem_width is {width}; give a file of that width."
        )
    entry.trunk.load_state_dict(stem.part("trunk."))
    head = stem.part("heads.kpt_heatmap.")
    own = entry.head.state_dict()
    for name, value in head.items():
        if not name.startswith("to_maps."):
            own[name].copy_(value)
            continue
        own[name].zero_()
        for joint in set(COCO17.joints) & set(network.config.skeleton.joints):
            row = network.config.skeleton.index(joint)
            own[name][row] = SHARPNESS * value[COCO17.index(joint)]
