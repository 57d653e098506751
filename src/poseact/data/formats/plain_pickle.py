"""Pickles of plain values and numeric arrays, read without executing code."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from poseact._utils.boundary import require_bounded, values_allowed

_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
"""Types that an array may have."""

_LONGEST_EMPTY = 10**6
_HEAVIEST_TUPLE = 10**5
_MOST_KEYS = 5000

_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_FIXED = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"})
_KEYS = {
    **dict.fromkeys(("DICT", "SETITEMS"), slice(None, None, 2)),
    **dict.fromkeys(("ADDITEMS", "FROZENSET"), slice(None)),
    "SETITEM": slice(1, 2),
}
"""Which of the values that an instruction takes become keys or members of sets."""
_TEXTS = (pickletools.pyunicode, pickletools.pybytes_or_str, pickletools.pybytes)


def plain_pickle(content: bytes, *, objects: bool = False) -> Any:
    """Read a pickle of built-in containers, numbers, strings and numeric arrays.

    A pickle is a program: opened by ``pickle.load`` it may call any function. Here the only names
    that it may ask for are those by which NumPy rebuilds an array or a number, and even they are
    replaced by functions that check what they are given. Its instructions are looked through
    before, for they say how much memory is set aside.

    Args:
        content: The pickle.
        objects: Read arrays of objects too, each as the list of what it holds.

    Raises:
        Exception: Any; the pickle is damaged, asks for more, or claims more than it holds.
    """
    _check_instructions(content)
    raw = _PlainUnpickler(io.BytesIO(content), objects).load()
    require_bounded(raw, values_allowed(len(content)), lambda value: getattr(value, "values", None))
    return _values(raw)


class _Held(NamedTuple):
    """A value on the stack: how many values it stands for, and whether it is text."""

    weight: int
    text: bool = False


def _check_instructions(content: bytes) -> None:
    """Follow the instructions of a pickle without carrying them out.

    Memory for its memo is set aside by the largest number in it; looking up a tuple takes as long
    as writing out all that it holds; and keys that are no texts can be made to have the same hash,
    so that each is compared with all others. So all three are bounded.
    """
    stack: list[_Held | None] = []  # None for a mark
    memo: dict[int, _Held | None] = {}
    keys = 0
    for operation, argument, _ in pickletools.genops(io.BytesIO(content)):
        name = operation.name
        if name in _PUT:
            place = len(memo) if name == "MEMOIZE" else argument
            if not isinstance(place, int) or not 0 <= place <= len(content):
                raise ValueError(f"it claims a memo of {place:,} entries")
            memo[place] = stack[-1]
        elif name in _GET:
            stack.append(memo[int(argument or 0)])
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            taken = _take(stack, operation.stack_before)
            if name in _KEYS:
                keys += sum(not key.text for key in taken[_KEYS[name]])
                if keys > _MOST_KEYS:
                    raise ValueError(f"it has more than {_MOST_KEYS:,} keys that are not strings")
            weight = 1 + sum(held.weight for held in taken) if name in _FIXED else 1
            if weight > _HEAVIEST_TUPLE:
                raise ValueError(f"a tuple stands for more than {_HEAVIEST_TUPLE:,} values")
            stack += [
                None if kind is pickletools.markobject else _Held(weight, kind in _TEXTS)
                for kind in operation.stack_after
            ]


def _take(stack: list[_Held | None], kinds: Sequence[pickletools.StackObject]) -> list[_Held]:
    """Take off the stack what an instruction reads; what it returns lay above a mark, if any."""
    if pickletools.stackslice not in kinds:
        start = len(stack) - len(kinds)
        taken = [held for held in stack[start:] if held is not None]
        del stack[start:]
        return taken
    taken = []
    while (held := stack.pop()) is not None:
        taken.append(held)
    # Items below the mark, such as the list that is extended.
    for _ in range(kinds.index(pickletools.markobject)):
        stack.pop()
    return taken[::-1]


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
        return _Objects() if self.objects and code in ("O", "O8") else _Numbers(code)


class _Objects:
    """Stands in for ``numpy.dtype`` of objects."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        pass


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
    if not size and max(shape, default=0) > _LONGEST_EMPTY:
        raise pickle.UnpicklingError(f"it holds an array of shape {shape} without numbers")
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
