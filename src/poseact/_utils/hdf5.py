"""HDF5 files, read without following links to other files and within size limits."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from poseact._utils.boundary import require_values, values_allowed

_MOST_NAMES = 10_000
_MOST_BYTES_OF_NAMES = 2**20


class Hdf5File:
    """An HDF5 file of arrays of numbers; use it in a ``with`` block.

    Every method raises what h5py does, or ValueError where the file asks for more than it holds.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = path.stat().st_size
        self._values = self._names = 0
        _probe(path)
        self._file = h5py.File(path, "r")

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def has(self, name: str) -> bool:
        return name in self._file

    def array(self, name: str) -> np.ndarray:
        """An array by its path.

        The total read so far is compared with the size of the file, because one array may have many
        names, and an array that was never written takes no place.
        """
        found = self._member(name)
        if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiub":
            raise TypeError(f"{name} is no array of numbers")
        if found.external or found.is_virtual:
            raise ValueError(f"{name} lies in another file")
        if found.size is None:
            raise ValueError(f"{name} is empty")
        self._values += found.size
        # A whole chunk is read, however small the array is.
        require_values(max(self._values, math.prod(found.chunks or ())), self._bytes)
        return np.asarray(found)

    def names(self, group: str, attribute: str) -> list[str] | None:
        """The strings of a group's attribute, or None."""
        found = self._member(group)
        if not isinstance(found, h5py.Group) or attribute not in found.attrs:
            return None
        stored = found.attrs.get_id(attribute)
        count = int(np.prod(stored.shape))
        self._names += count
        if self._names > _MOST_NAMES or count * stored.dtype.itemsize > _MOST_BYTES_OF_NAMES:
            raise ValueError(f"{group} has {count:,} {attribute}")
        names = np.asarray(found.attrs[attribute]).ravel().tolist()
        return [name.decode() if isinstance(name, bytes) else str(name) for name in names]

    def _member(self, path: str) -> h5py.Group | h5py.Dataset:
        found: object = self._file
        for part in path.split("/"):
            if not part:
                continue
            if not isinstance(found, h5py.Group):
                raise KeyError(path)
            if type(found.get(part, getlink=True)) is not h5py.HardLink:
                raise ValueError(f"{path} leads elsewhere or is not there")
            found = found[part]
        assert isinstance(found, h5py.Group | h5py.Dataset)
        return found


# Reads what is read here, and nothing else of the package, whose import takes longer.
_PROBE = """
import sys
import h5py
try:
    import resource
    for kind, most in ((resource.RLIMIT_CPU, int(sys.argv[2])), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))
except ImportError:
    pass
def look(_, found):
    for name in ("layer_names", "weight_names"):
        if name in found.attrs:
            found.attrs[name]
    if isinstance(found, h5py.Dataset) and not found.external and not found.is_virtual:
        if found.size and found.size <= int(sys.argv[3]):
            found[()]
with h5py.File(sys.argv[1], "r") as file:
    look("", file)
    file.visititems(look)
"""
_SECONDS, _BYTES_PER_SECOND = 5, 10**7
_LONGEST_SECONDS = 600


def _probe(path: Path) -> None:
    """Read a file in a separate process: some damaged files hang or crash the library."""
    size = path.stat().st_size
    limits = (_SECONDS + size // _BYTES_PER_SECOND, values_allowed(size))
    try:
        ended = subprocess.run(
            [sys.executable, "-c", _PROBE, str(path), *map(str, limits)],
            capture_output=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError("reading it takes too long") from error
    # Exceptions are raised again in this process; only signals give a negative code.
    if ended.returncode < 0:
        raise ValueError("reading it takes too long or crashes the reader")
