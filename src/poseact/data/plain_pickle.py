"""Pickles of plain values and arrays of numbers, read without running anything that they name."""

from __future__ import annotations

import math
import pickle
from typing import IO, Any

import numpy as np

_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
"""Types that an array may have."""


DAMAGED_PICKLE = (
    *(pickle.UnpicklingError, EOFError, AttributeError, RuntimeError),
    *(ValueError, TypeError, LookupError, MemoryError, OverflowError),
)
"""What a pickle that is damaged or asks for more raises."""


def plain_pickle(file: IO[bytes], *, objects: bool = False) -> Any:
    """What a pickle holds, of builtin containers, numbers, texts and arrays of numbers alone.

    A pickle is a program: opened by ``pickle.load`` it may call any function. Here the only names
    that it may ask for are those by which NumPy rebuilds an array or a number, and even they are
    replaced by functions that check what they are given.

    Args:
        file: At the start of the pickle.
        objects: Read arrays of objects too, each as the list of what it holds.

    Raises:
        Exception: One of ``DAMAGED_PICKLE``.
    """
    return _values(_PlainUnpickler(file, objects).load())


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], objects: bool) -> None:
        # Pickles of Python 2 hold bytes as text.
        super().__init__(file, encoding="latin1")
        self.objects = objects

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 renamed numpy.core.
        key = module.replace("numpy._core", "numpy.core"), name
        safe = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): self.kind,
            ("numpy.core.multiarray", "_reconstruct"): _blank_array,
            ("numpy.core.multiarray", "scalar"): _scalar,
            ("numpy.core.numeric", "_frombuffer"): _from_buffer,
            ("_codecs", "encode"): _encode,
        }
        if key not in safe:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return safe[key]

    def kind(self, code: str, *_: object) -> _Numbers | _Objects:
        """The type of an array."""
        return _Objects() if self.objects and code in ("O", "O8") else _Numbers(code)


class _Objects:
    """Stands in for ``numpy.dtype`` of objects."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Nothing that it says is needed."""


class _Numbers:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in _NUMBERS:
            raise pickle.UnpicklingError(f"it holds an array of {code!r}, not of numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


class _Array:
    """Stands in for ``numpy.ndarray``."""

    values: np.ndarray | list[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, numbers, by_columns, content = state
        if isinstance(numbers, _Objects):
            self.values = content
            return
        content = content.encode("latin1") if isinstance(content, str) else content
        self.values = _array(content, numbers, shape, "F" if by_columns else "C")


def _blank_array(*_: object) -> _Array:
    return _Array()


def _scalar(numbers: _Numbers, content: bytes | str) -> Any:
    content = content.encode("latin1") if isinstance(content, str) else content
    return _array(content, numbers, (1,), "C")[0].item()


def _from_buffer(content: bytes, numbers: _Numbers, shape: Any, order: str) -> np.ndarray:
    return _array(content, numbers, shape, order)


def _encode(text: str, encoding: str) -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


def _array(content: bytes, numbers: _Numbers, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(numbers, _Numbers):
        raise pickle.UnpicklingError("it holds an array without a type")
    size = math.prod(shape)
    values = np.frombuffer(content, numbers.dtype, count=size) if size else np.empty(0)
    return values.reshape(shape, order=order)


def _values(content: Any) -> Any:
    """The same with arrays in the place of what stood in for them."""
    if isinstance(content, _Array):
        return _values(content.values)
    if isinstance(content, dict):
        return {key: _values(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(_values(value) for value in content)
    return content
