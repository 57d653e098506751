"""Validation at the boundary between untrusted files and the program.

A parser of a damaged file raises nearly anything, and what a header claims may be a thousand times
what the file holds. Here the first becomes one sentence, and the second is bounded.
"""

import json
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any, cast

import numpy as np

from poseact._utils.errors import PoseActError

_LEAST_VALUES = 2**22
_VALUES_PER_BYTE = 16
_REASON_LENGTH = 300
_LEVELS = 100
_LONGEST_NAME = 255

FARTHEST = 1e6
"""Coordinates in px or mm beyond it are mistakes."""


@contextmanager
def one_sentence(sentence: str, *, around: bool = False) -> Generator[None]:
    """Convert any exception of a parser to one sentence about its file.

    Only what parses belongs in the block: every exception in it counts as damage of the file.

    Args:
        sentence: With ``{error}`` in the place of what the parser says.
        around: Wrap a :class:`PoseActError` raised in the block, too.

    Raises:
        PoseActError: The sentence, or one from within as it is.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, PoseActError) and not around:
            raise
        raise PoseActError(sentence.replace("{error}", reason_of(error))) from error


def reason_of(error: Exception) -> str:
    """The message of an exception, in one line of limited length."""
    said = "out of memory" if isinstance(error, MemoryError) else str(error)
    if isinstance(error, KeyError) and said:  # says the key only
        said = f"there is no {said}"
    faults: Callable[[], list[dict[str, Any]]] | None = getattr(error, "errors", None)
    if faults is not None:  # pydantic's, which lists every fault with a web address
        fault = faults()[0]
        said = ": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"])))
    short = " ".join(said[: 2 * _REASON_LENGTH].split())[:_REASON_LENGTH].removesuffix(".")
    return short or type(error).__name__


def parse_json(content: bytes | str) -> Any:
    """The values of a JSON text.

    Raises:
        ValueError: It is no JSON, no UTF-8, nested too deeply, or holds a number of thousands of
            digits.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def values_allowed(file_bytes: int) -> int:
    """Maximum count of numbers that a file of this size may decompress to.

    Label files that are compressed hold a few numbers per byte; small ones may hold more.
    """
    return max(_LEAST_VALUES, _VALUES_PER_BYTE * file_bytes)


def require_values(count: int, file_bytes: int) -> None:
    """Refuse a file that decompresses to more numbers than its size allows.

    Raises:
        ValueError: There are more than :func:`values_allowed`.
    """
    if count > values_allowed(file_bytes):
        raise ValueError(f"it claims {count:,} values in {file_bytes:,} bytes")


def require_bounded(
    content: Any, limit: int, held_by: Callable[[Any], Any] = lambda _: None
) -> None:
    """Refuse nested values that share references so that they expand without bound.

    Parsers share values that are named twice, so a few lines can expand to billions of values.

    Args:
        content: Lists, tuples, dictionaries, arrays and single values.
        limit: How many values there may be, those of arrays among them.
        held_by: What values of other types hold, None for nothing.

    Raises:
        ValueError: There are more, or they are nested in more than 100 levels.
    """
    known: dict[int, tuple[int, int]] = {}  # count and depth of values that hold others

    def measured(value: Any, level: int) -> tuple[int, int]:
        key = id(value)
        found = known.get(key)
        if found is None:
            if isinstance(value, dict):
                held: Collection[Any] = [*value, *value.values()]
            elif isinstance(value, list | tuple | set | frozenset):
                held = cast("Collection[Any]", value)
            else:
                held = () if (one := held_by(value)) is None else (one,)
            count, depth = 1 + (value.size if isinstance(value, np.ndarray) else 0), 0
            if level <= _LEVELS:
                for inner in held:
                    inner_count, inner_depth = measured(inner, level + 1)
                    count, depth = count + inner_count, max(depth, inner_depth + 1)
            found = count, depth
            if held:
                known[key] = found
        if found[0] > limit or level + found[1] > _LEVELS:
            raise ValueError(f"it is nested too deeply or stands for more than {limit:,} values")
        return found

    measured(content, 0)


def refuse_device(path: Path) -> None:
    """Refuse a device or a pipe, which may have no end.

    Raises:
        ValueError: It is one.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError("it is a device or a pipe")


def within(places: np.ndarray) -> np.ndarray:
    """Which places ``(..., D)`` are numbers and not beyond ``FARTHEST``: ``(...)`` boolean."""
    return np.asarray((abs(places) <= FARTHEST).all(-1))  # False for NaN


def inside(folder: Path, name: str) -> Path:
    """Path of a file named by a label file, which must lie inside the image folder.

    Raises:
        ValueError: The name leads elsewhere, or no file can have it.
    """
    path = PureWindowsPath(name)  # knows the separators of all systems
    if not path.parts or path.anchor or ".." in path.parts:
        raise ValueError(f"the file name {name[:_REASON_LENGTH]!r} leads out of {folder}")
    if "\0" in name or any(len(part.encode()) > _LONGEST_NAME for part in path.parts):
        raise ValueError(f"no file can have the name {name[:_REASON_LENGTH]!r}")
    return folder / name
