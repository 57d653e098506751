"""Import of the authors' Keras HDF5 files, with h5py alone."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.hdf5 import Hdf5File
from poseact.models.base import Network
from poseact.models.card import Card
from poseact.models.presets import PRESETS, create_model
from poseact.models.pyramid import SPNet
from poseact.weights.catalogue import published_file
from poseact.weights.keras_layout import KerasArray, depth_grid, keras_arrays

# Soft-argmax grids were computed in float32 by another library.
FIXED_TOLERANCE = 1e-6


@dataclass(frozen=True)
class StoredArray:
    """An array in the file."""

    layer: str
    name: str
    value: np.ndarray

    @property
    def kind(self) -> str:
        """Last part of the name, without the output number, such as ``kernel``."""
        return self.name.split("/")[-1].split(":")[0]


@dataclass(frozen=True)
class ImportReport:
    """Summary of an import; counts are of values, unless stated otherwise.

    Attributes:
        arrays: Arrays in the file.
        trained: Values of trained parameters.
        statistics: Values of batch-norm statistics.
        fixed: Values that are never trained and were checked.
    """

    arrays: int
    trained: int
    statistics: int
    fixed: int

    def __str__(self) -> str:
        total = self.trained + self.statistics + self.fixed
        return (
            f"{self.arrays} arrays, {total:,} values = {self.trained:,} trained + "
            f"{self.statistics:,} batch-norm statistics + {self.fixed:,} fixed; "
            "0 missing, 0 unexpected"
        )


def import_keras(path: str | Path, preset: str) -> Network:
    """Build a preset's network with the weights of one of the authors' Keras files.

    Args:
        path: HDF5 file, as published or as written by ``model.save_weights``.
        preset: The network that it was saved from, such as ``"cvpr18-mpii"``.

    Returns:
        The network in eval mode; ``network.card.provenance`` holds the import report.

    Raises:
        PoseActError: The file is missing, no HDF5, cut off, of another model, or its fixed arrays
            differ from what the network computes.
    """
    path = Path(path)
    network = create_model(preset)
    expected = keras_arrays(network)
    if not expected:
        raise PoseActError(
            f"The authors published no Keras file for the preset {preset!r}; give one of "
            f"{', '.join(name for name in PRESETS if name != preset)}."
        )
    stored = read_arrays(path)
    by_name = isinstance(network, SPNet)
    pairs = (
        _pairs_by_name(path, preset, expected, stored)
        if by_name
        else _pairs_by_order(path, preset, expected, stored)
    )
    counts = {"trained": 0, "statistics": 0, "fixed": 0}
    for array, found in pairs:
        counts[_transfer(path, array, found)] += found.value.size
    report = ImportReport(len(stored), **counts)
    network.card = _card(path, preset, report)
    return network.eval()


def _transfer(path: Path, array: KerasArray, found: StoredArray) -> str:
    """Copy or check one array; return its kind."""
    if not np.isfinite(found.value).all():
        raise PoseActError(
            f"The array {found.layer}/{found.name} in {path} holds values that are not finite; "
            "give an unmodified file of the authors."
        )
    if array.target is None or array.is_depth_grid:
        _check_fixed(path, array, found)
    if array.target is None:
        return "fixed"
    value = depth_grid(found.value) if array.is_depth_grid else array.to_torch(found.value)
    with torch.no_grad():
        array.target.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    if array.is_depth_grid:
        return "fixed"
    return "statistics" if array.kind.startswith("moving") else "trained"


def _check_fixed(path: Path, array: KerasArray, found: StoredArray) -> None:
    if array.expected is not None:
        wanted = array.expected()
    else:
        grid = depth_grid(found.value)
        wanted = grid[:, None, None] * np.eye(found.value.shape[1])
        if not (np.all(np.diff(grid) > 0) and grid[0] >= 0 and grid[-1] <= 1):
            raise PoseActError(
                f"The depth grid {found.name} in {path} does not rise within 0 to 1; "
                "give an unmodified file of the authors."
            )
    difference = float(np.abs(found.value - wanted).max())
    if not difference <= FIXED_TOLERANCE:
        raise PoseActError(
            f"The fixed array {found.layer}/{found.name} ({array.layer}) in {path} differs by "
            f"{difference:.2g} from what the network computes; give an unmodified file of the "
            "authors."
        )


def read_arrays(path: Path) -> list[StoredArray]:
    """All weight arrays of a Keras HDF5 file, in file order.

    Raises:
        PoseActError: The file is missing, no HDF5, cut off, or holds no Keras weights.
    """
    if not path.is_file():
        raise PoseActError(f"There is no file {path}; give a Keras .h5 weights file.")
    if not h5py.is_hdf5(path):
        raise PoseActError(f"{path} is not an HDF5 file; give a Keras .h5 weights file.")
    with (
        one_sentence(
            f"{path} is cut off or damaged ({{error}}); download it again and compare its md5 with "
            "'poseact weights list'."
        ),
        Hdf5File(path) as file,
    ):
        root = "model_weights" if file.has("model_weights") else ""
        layers = file.names(root, "layer_names")
        if layers is None:
            raise PoseActError(
                f"{path} is an HDF5 file without Keras weights (no attribute 'layer_names'); "
                "give a Keras .h5 weights file."
            )
        return [
            StoredArray(layer, name, file.array(f"{root}/{layer}/{name}").astype(np.float32))
            for layer in layers
            for name in file.names(f"{root}/{layer}", "weight_names") or ()
        ]


def _fits(array: KerasArray, found: StoredArray) -> bool:
    return array.kind == found.kind and array.shape == found.value.shape


def _pairs_by_order(
    path: Path, preset: str, expected: list[KerasArray], stored: list[StoredArray]
) -> list[tuple[KerasArray, StoredArray]]:
    for i, (array, found) in enumerate(zip(expected, stored, strict=False)):
        if not _fits(array, found):
            raise PoseActError(
                f"{path} is not a file of {preset}: array {i} ({found.layer}/{found.name}) is a "
                f"{found.kind} of shape {found.value.shape}, expected a {array.kind} of shape "
                f"{array.shape}; {_remedy(stored)}"
            )
    if len(expected) != len(stored):
        raise PoseActError(
            f"{path} is not a file of {preset}: it holds {len(stored)} arrays, expected "
            f"{len(expected)}; {_remedy(stored)}"
        )
    return list(zip(expected, stored, strict=True))


def _pairs_by_name(
    path: Path, preset: str, expected: list[KerasArray], stored: list[StoredArray]
) -> list[tuple[KerasArray, StoredArray]]:
    by_name = {(layer, found.kind): found for layer, found in _renumbered(stored)}
    wanted = {(array.layer, array.kind): array for array in expected}
    missing = [key for key in wanted if key not in by_name]
    unexpected = [key for key in by_name if key not in wanted]
    if missing or unexpected:
        examples = ", ".join("/".join(key) for key in (missing + unexpected)[:3])
        raise PoseActError(
            f"{path} is not a file of {preset}: {len(missing)} arrays missing, {len(unexpected)} "
            f"unexpected ({examples} …); {_remedy(stored)}"
        )
    for key, array in wanted.items():
        if not _fits(array, by_name[key]):
            raise PoseActError(
                f"{path} is not a file of {preset}: {'/'.join(key)} has shape "
                f"{by_name[key].value.shape}, expected {array.shape}; {_remedy(stored)}"
            )
    return [(array, by_name[key]) for key, array in wanted.items()]


def _renumbered(stored: list[StoredArray]) -> list[tuple[str, StoredArray]]:
    """Layer names with the action blocks counted from 1.

    Keras numbered them across the models of one process, so a file may start at act7.
    """
    pattern = re.compile(r"^act(\d+)_")
    layers = [found.name.split("/")[0] for found in stored]
    numbers = sorted({int(m.group(1)) for layer in layers if (m := pattern.match(layer))})
    rank = {number: i + 1 for i, number in enumerate(numbers)}
    return [
        (pattern.sub(lambda m: f"act{rank[int(m.group(1))]}_", layer), found)
        for layer, found in zip(layers, stored, strict=True)
    ]


def _remedy(stored: list[StoredArray]) -> str:
    """Advice that names the preset the file fits, if any."""
    shapes = sorted((found.kind, found.value.shape) for found in stored)
    for preset in PRESETS:
        arrays = keras_arrays(create_model(preset))
        if sorted((array.kind, array.shape) for array in arrays) == shapes:
            return f"it fits --preset {preset}."
    return "it fits no preset, so give the unmodified file of the authors."


def _card(path: Path, preset: str, report: ImportReport) -> Card:
    provenance: dict[str, Any] = {
        "weights": "imported from the authors' Keras file",
        "file": path.name,
        "import": str(report),
    }
    published = published_file(preset)
    if published is None:
        return Card(preset, provenance=provenance, licence="unknown")
    provenance["published"] = published.url
    return Card(preset, provenance=provenance, licence=published.licence)
