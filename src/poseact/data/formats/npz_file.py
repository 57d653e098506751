"""NumPy archives of plain arrays; sizes claimed by headers are checked first."""

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np

from poseact._utils.boundary import require_values

_SUFFIX = ".npy"
_LONGEST_EMPTY = 10**6


def load_arrays(
    file: Path | IO[bytes], file_bytes: int, keys: Collection[str]
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Arrays of numbers, booleans and strings; nothing in the file is ever executed.

    Returns:
        The names of all arrays, and those wanted that there are.

    Raises:
        Exception: Any of zipfile's or NumPy's, or ValueError: the archive is damaged, an array is
            not plain, or claims more than there is.
    """
    with zipfile.ZipFile(file) as archive:
        members = {
            info.filename.removesuffix(_SUFFIX): info
            for info in archive.infolist()
            if info.filename.endswith(_SUFFIX)
        }
        chosen = {key: members[key] for key in keys if key in members}
        # A number takes a byte or more.
        require_values(sum(info.file_size for info in chosen.values()) // 8, file_bytes)
        arrays = {}
        for key, info in chosen.items():
            with archive.open(info) as member:
                arrays[key] = _read(member, info.file_size)
        require_values(sum(array.size for array in arrays.values()), file_bytes)
    return list(members), arrays


def read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type of an array."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)


def _read(member: IO[bytes], size: int) -> np.ndarray:
    shape, by_columns, kind = read_header(member)
    if kind.kind not in "biufSU" or not kind.itemsize:
        raise ValueError(f"an array of {kind} is not of plain values")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * kind.itemsize > size:
        raise ValueError(f"an array of shape {shape} is claimed in {size} bytes")
    if not count and max(shape) > _LONGEST_EMPTY:
        raise ValueError(f"an array of shape {shape} holds nothing")
    values = np.frombuffer(member.read(count * kind.itemsize), kind, count)
    # The checksum is only verified at the end of the archive.
    if member.read(1):
        raise ValueError("an array has more bytes than its shape asks for")
    if kind.kind == "U":
        # Invalid characters only fail on access.
        values.tolist()
    return values.reshape(shape, order="F" if by_columns else "C").copy(order="K")
