"""The 3D poses of Human3.6M as packed for VideoPose3D (Pavllo et al., 2019): ``data_3d_h36m.npz``.

The archive holds one pickle, which is read without running anything that it names.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.label_files import require_file
from poseact.data.plain_pickle import DAMAGED_PICKLE, plain_pickle

_MEMBER = "positions_3d.npy"
_MM_PER_M = 1000


def read_positions(path: Path, joints: int) -> dict[str, dict[str, np.ndarray]]:
    """Read ``positions_3d``: of each subject and action such as ``S1`` and ``Directions 1``.

    Args:
        path: The archive.
        joints: J, their number.

    Returns:
        ``(N, J, 3)`` float32 mm in the axes of the world.

    Raises:
        PoseActError: The archive is missing, damaged, asks for anything but plain arrays, or has
            other contents.
    """
    what = f"VideoPose3D's positions_3d of {joints} joints by subject and action"
    require_file(path, what)
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as file:
            _, _, numbers = _header(file)
            if numbers.kind != "O":
                raise ValueError(f"it is an array of {numbers}")
            (content,) = plain_pickle(file, objects=True)
        return {
            str(subject): {
                str(action): _poses(poses, joints) for action, poses in by_action.items()
            }
            for subject, by_action in content.items()
        }
    # Damaged archives and pickles fail in any of these ways.
    except (
        *(zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, SyntaxError),
        *DAMAGED_PICKLE,
    ) as error:
        raise PoseActError(
            f"{path} cannot be read as {what} ({error}); make it again by VideoPose3D's script."
        ) from error


def _header(file: Any) -> tuple[Any, ...]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _poses(found: Any, joints: int) -> np.ndarray:
    return np.array(found, np.float32).reshape(-1, joints, 3) * _MM_PER_M
