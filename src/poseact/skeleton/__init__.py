"""Body skeletons: joint names, limbs, mirror pairs and conversions by name."""

from poseact.skeleton.layouts import (
    BLAZEPOSE33,
    COCO17,
    H36M17,
    H36M32,
    H36M32_PAPER,
    LSP14,
    MPI3DHP17,
    MPII16,
    NTU25,
    NTU25_PAPER,
    PA16,
    PA17,
    PA20,
    PENN13,
    PENN13_PAPER,
    SKELETONS,
)
from poseact.skeleton.named import MIDPOINTS, Skeleton, mirrored

__all__ = [
    "BLAZEPOSE33",
    "COCO17",
    "H36M17",
    "H36M32",
    "H36M32_PAPER",
    "LSP14",
    "MIDPOINTS",
    "MPI3DHP17",
    "MPII16",
    "NTU25",
    "NTU25_PAPER",
    "PA16",
    "PA17",
    "PA20",
    "PENN13",
    "PENN13_PAPER",
    "SKELETONS",
    "Skeleton",
    "mirrored",
]
