"""Safe reading of the label files of published data sets, with clear errors."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from poseact._utils.boundary import one_sentence, parse_json, reason_of
from poseact._utils.errors import PoseActError
from poseact.data.formats.mat_file import load_variables
from poseact.data.formats.npz_file import load_arrays

MATLAB_PIXEL_ORIGIN = 0.5
"""Labels that count pixels as MATLAB does have the first one's centre at 1; here it is at 0.5."""

# Number of arrays that messages list.
_LISTED = 10

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def require_file(path: Path, what: str) -> None:
    """Refuse a label file that is missing or empty.

    Args:
        path: The file.
        what: What it is, for the message, such as ``LSP's joints.mat``.

    Raises:
        PoseActError: There is no such file, or there is nothing in it.
    """
    if not path.is_file():
        raise PoseActError(f"{path} does not exist; give the folder that holds {what}.")
    if path.stat().st_size == 0:
        raise PoseActError(f"{path} is empty, but {what} was expected; fetch the file again.")


def read_mat(path: Path, variable: str, what: str) -> np.ndarray:
    """One variable of a MATLAB file, see :func:`read_mat_variables`."""
    (array,) = read_mat_variables(path, (variable,), what)
    return array


def read_mat_numbers(path: Path, variable: str, what: str) -> np.ndarray:
    """One numeric variable of a MATLAB file, see :func:`read_mat_variables`."""
    array = read_mat(path, variable, what)
    require_numbers(path, {variable: array}, what)
    return array


def require_numbers(path: Path, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Refuse arrays that are not numeric.

    Raises:
        PoseActError: An array is not of real numbers or truth values.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise PoseActError(f"{path} holds {name!r} as {array.dtype}, not numbers; give {what}.")


def read_mat_variables(path: Path, variables: Sequence[str], what: str) -> list[np.ndarray]:
    """Variables of a MATLAB file; structs are objects with attributes, cells object arrays.

    Returns:
        The arrays in the order asked for, of at least two dimensions as MATLAB has it.

    Raises:
        PoseActError: The file is missing, empty, cut short, not MATLAB's, saved as v7.3, or lacks
            a variable.
    """
    require_file(path, what)
    if _is_hdf5(path):
        raise PoseActError(
            f"{path} was saved by MATLAB as version 7.3 (HDF5), but {what} is of version 7 or "
            "older; give the published file, or save it again with save(..., '-v7')."
        )
    with one_sentence(
        f"{path} is not a complete MATLAB file ({{error}}), but {what} was expected; "
        "fetch the file again."
    ):
        content = load_variables(path.read_bytes(), variables)
    for variable in variables:
        if variable not in content:
            found = _listed([name for name in content if name and not name.startswith("__")])
            raise PoseActError(f"{path} holds no array {variable!r} but {found}; give {what}.")
    return [content[variable] for variable in variables]


def read_npz(
    path: Path, keys: tuple[str, ...], what: str, optional: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Arrays of a NumPy archive; nothing in it is ever executed.

    Args:
        path: The file.
        keys: The arrays that are needed.
        what: What the file is, for messages.
        optional: Arrays that are read where they are there.

    Raises:
        PoseActError: The file is missing, damaged, or lacks a key.
    """
    require_file(path, what)
    with one_sentence(
        f"{path} is not a complete NumPy archive of plain arrays ({{error}}), but {what} was "
        "expected; fetch the file again."
    ):
        names, arrays = load_arrays(path, path.stat().st_size, keys + optional)
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise PoseActError(
            f"{path} lacks {', '.join(missing)} and holds {_listed(names)}; give {what}."
        )
    return arrays


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more or "nothing"


def require_shape(
    path: Path, arrays: dict[str, np.ndarray], key: str, expected: tuple[int, ...], whose: str
) -> None:
    """Refuse an array of another shape.

    Args:
        path: The archive, for the message.
        arrays: Its arrays.
        key: The array to look at.
        expected: Its shape.
        whose: What the shape follows from, and what to do, such as ``3 images; give …``.

    Raises:
        PoseActError: The shape is another.
    """
    require_numbers(path, {key: arrays[key]}, f"numbers of shape {expected}")
    shape = arrays[key].shape
    if shape != expected:
        raise PoseActError(
            f"{path} holds {key!r} of shape {shape}, but {expected} was expected for its {whose}."
        )


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file.

    Raises:
        PoseActError: The file is missing, empty or not JSON; the message names line and column.
    """
    require_file(path, what)
    try:
        return parse_json(path.read_bytes())
    except json.JSONDecodeError as error:
        fault = f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        remedy = "correct that place"
    except UnicodeDecodeError as error:
        fault, remedy = f"is not text in UTF-8 ({error.reason})", "save it as UTF-8"
    except (ValueError, OSError) as error:
        fault, remedy = f"cannot be read ({reason_of(error)})", "fetch the file again"
    raise PoseActError(f"{path} {fault}, but {what} was expected; {remedy}.")


def _is_hdf5(path: Path) -> bool:
    """MATLAB writes a text header of 512 bytes before the HDF5 content of version 7.3."""
    with path.open("rb") as file:
        start = file.read(512 + len(_HDF5_SIGNATURE))
    return _HDF5_SIGNATURE in (start[: len(_HDF5_SIGNATURE)], start[512:])


def names_in(path: Path, arrays: Mapping[str, np.ndarray], key: str, what: str) -> list[str]:
    """The strings of an array.

    Raises:
        PoseActError: It is not a row of texts.
    """
    found = arrays[key]
    if found.ndim != 1 or found.dtype.kind not in "US":
        raise PoseActError(
            f"{path} holds {key!r} as {found.dtype} of shape {found.shape}, but a list of "
            f"strings was expected; give {what}."
        )
    texts = found if found.dtype.kind == "U" else np.char.decode(found, "utf-8", "replace")
    return texts.tolist()
