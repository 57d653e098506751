"""The background set: how people in free motion look to the shipped pose network.

Rendered people who stand, walk, gesture, sit, jump, dance … (CC0 bodies, families of poses, and
motion captures under CC0 and MIT), read by ``small-open``. Made by ``tools/make_background.py``.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import as_file, files
from typing import NamedTuple

from safetensors import safe_open
from torch import Tensor

from poseact.models.multitask import MultitaskNetwork
from poseact.models.pyramid_stem import PyramidEntry

FILE = "background/free-motion.safetensors"
"""Name among the assets of the package."""

BACKBONE = "backbone"
"""Key of the file's header for the digest of the backbone that read the pictures."""


class Background(NamedTuple):
    """Descriptions of windows of free motion.

    Attributes:
        appearance: ``(M, J C)`` float32, see
            :func:`~poseact.models.window_heads.describe_appearance`.
        backbone: Digest of the backbone that gave them, see :func:`backbone_digest`.
    """

    appearance: Tensor
    backbone: str


@cache
def read_background() -> Background:
    """The set that the package holds."""
    with as_file(files("poseact.assets") / FILE) as path, safe_open(path, "pt") as file:
        return Background(file.get_tensor("appearance").float(), file.metadata()[BACKBONE])


def fits_background(network: MultitaskNetwork) -> bool:
    """Whether a pose network sees with the backbone that the set was read with."""
    return backbone_digest(network) == read_background().backbone


def backbone_digest(network: MultitaskNetwork) -> str | None:
    """Digest of the stages that the appearance is gathered from; None without a pyramid."""
    if not isinstance(network.stem, PyramidEntry):
        return None
    total = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.stem.trunk.stages.state_dict().items()):
        # Files hold 16 bits, and networks in memory 32.
        total.update(name.encode() + tensor.detach().cpu().half().numpy().tobytes())
    return total.hexdigest()
