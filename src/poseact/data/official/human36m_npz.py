"""The 3D poses of Human3.6M as packed for VideoPose3D (Pavllo et al., 2019): ``data_3d_h36m.npz``.

The archive holds one pickle, which is read without running anything that it names.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from poseact._utils.boundary import one_sentence, require_values
from poseact.data.formats.label_files import require_file
from poseact.data.formats.npz_file import read_header
from poseact.data.formats.plain_pickle import plain_pickle

_MEMBER = "positions_3d.npy"
_MM_PER_M = 1000


def read_positions(path: Path, joints: int) -> dict[str, dict[str, np.ndarray]]:
    """Read ``positions_3d``: of each subject and action such as ``S1`` and ``Directions 1``.

    Returns:
        ``(N, J, 3)`` float32 mm in the axes of the world.

    Raises:
        PoseActError: The archive is missing, damaged, asks for anything but plain arrays, or has
            other contents.
    """
    what = f"VideoPose3D's positions_3d of {joints} joints by subject and action"
    require_file(path, what)
    with one_sentence(
        f"{path} cannot be read as {what} ({{error}}); create it again with VideoPose3D's script."
    ):
        with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as file:
            require_values(archive.getinfo(_MEMBER).file_size // 8, path.stat().st_size)
            _, _, numbers = read_header(file)
            if numbers.kind != "O":
                raise ValueError(f"it is an array of {numbers}")
            (content,) = plain_pickle(file.read(), objects=True)
        return {
            str(subject): {
                str(action): _poses(poses, joints) for action, poses in by_action.items()
            }
            for subject, by_action in content.items()
        }


def _poses(found: Any, joints: int) -> np.ndarray:
    return np.array(found, np.float32).reshape(-1, joints, 3) * _MM_PER_M
