"""MATLAB files of level 5, checked before scipy reads them.

scipy follows the tags of a file without looking whether they make sense, and a wrong one ends the
process. So every tag of the variables that are wanted is followed here first, in the same order.
Source: MAT-File Format, The MathWorks, version R2023b, chapter 1.
"""

import io
import math
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from scipy.io import loadmat

from poseact._utils.boundary import require_values, values_allowed

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBER_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_TEXT_TYPES = (1, 2, 4, 16, 17, 18)
_CELL, _STRUCT, _CHAR, _OPAQUE = 1, 2, 4, 17
_NUMBERS = range(6, 16)
_COMPLEX = 0x0800
_MAX_DIMENSIONS, _MAX_DEPTH = 32, 32

# Bytes of the header of a matrix of two dimensions without a name.
_USUAL_HEADER = 40

# Memory of a small array, in numbers of 8 bytes.
_ARRAY_VALUES = 16

_Header = tuple[int, bool, tuple[int, ...]]


def load_variables(content: bytes, variables: Sequence[str]) -> dict[str, np.ndarray]:
    """Variables of a MATLAB file; structs are objects with attributes, cells object arrays.

    Returns:
        Those of them that it holds, and None for each of the others that it holds.

    Raises:
        Exception: Any of scipy's or NumPy's, or ValueError: the file is damaged, of another level,
            or claims more than it holds.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or 0 in content[:4]:
        raise ValueError("it has no header of MATLAB's level 5")
    found: dict[str, np.ndarray] = {}
    wanted = [content[:_HEADER]]
    place, left = _HEADER, 8 * values_allowed(len(content))
    while place < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        element = content[place + 8 : place + 8 + size]
        if len(element) < size or kind not in (_MATRIX, _COMPRESSED):
            raise ValueError(f"its element at byte {place} is cut short or of unknown type {kind}")
        place += 8 + size
        if kind == _COMPRESSED:
            element = _inflated(element, order, max(left, 1))
        tags = _Tags(element, order, len(content))
        name = tags.name()
        found[name] = np.empty(0)
        if name in variables:
            tags.check()
            left -= len(element)
            wanted += [struct.pack(f"{order}II", _MATRIX, len(element)), element]
    return found | loadmat(
        io.BytesIO(b"".join(wanted)), struct_as_record=False, variable_names=list(variables)
    )


def _inflated(content: bytes, order: str, limit: int) -> bytes:
    """The one matrix of a compressed element, without its tag."""
    stream = zlib.decompressobj()
    # MATLAB omits the end of some streams, so only their content counts.
    plain = stream.decompress(content, limit)
    if stream.unconsumed_tail:
        raise ValueError(f"a compressed element has more than {limit:,} bytes")
    kind, size = struct.unpack_from(f"{order}II", plain)
    if kind != _MATRIX or len(plain) < 8 + size:
        raise ValueError(f"a compressed element is of type {kind} or cut short")
    return plain[8:]


class _Tags:
    """Follows the tags of one matrix as scipy does: each begins where the one before ended."""

    def __init__(self, content: bytes, order: str, file_bytes: int) -> None:
        self.content, self.file_bytes = content, file_bytes
        self.words = struct.Struct(f"{order}II")
        self.order = order
        self.place = self.values = 0
        self.known: dict[bytes, _Header] = {}

    def name(self) -> str:
        *_, name = self.header()
        self.place = 0
        return name

    def check(self, depth: int = 0) -> None:
        """Follow a matrix to its end."""
        kind, is_complex, shape = self.known_header()
        count = math.prod(shape)
        self.values += _ARRAY_VALUES
        if kind in (_CELL, _STRUCT):
            fields = self.field_count() if kind == _STRUCT else 1
            self.values += count * _ARRAY_VALUES
            require_values(self.values + count * fields, self.file_bytes)
            for _ in range(count * fields):
                self.child(depth)
            return
        self.values += count
        if count > 1:
            require_values(self.values, self.file_bytes)
        if kind == _CHAR:
            self.element(_TEXT_TYPES, at_least=count)
        elif kind in _NUMBERS:
            for _ in range(2 if is_complex else 1):
                self.element(_NUMBER_BYTES, exactly=count)
        else:
            raise ValueError(f"it holds a matrix of class {kind}, which does not hold plain values")

    def child(self, depth: int) -> None:
        """Follow a matrix within another."""
        kind, size = self.tag()
        if kind != _MATRIX or depth == _MAX_DEPTH:
            raise ValueError(f"a matrix holds an element of type {kind}, or is nested too deeply")
        if size:
            self.check(depth + 1)
        else:
            self.values += _ARRAY_VALUES

    def known_header(self) -> _Header:
        """Class, whether it is complex, and shape; millions of matrices have the same."""
        usual = self.content[self.place : self.place + _USUAL_HEADER]
        found = self.known.get(usual)
        if found is None:
            start = self.place
            found = self.header()[:3]
            if self.place == start + _USUAL_HEADER:
                self.known[usual] = found
            return found
        self.place += _USUAL_HEADER
        return found

    def header(self) -> tuple[int, bool, tuple[int, ...], str]:
        """Class, whether it is complex, shape and name."""
        self.tag()
        flags, _ = self.tag()
        kind = flags & 0xFF
        if kind == _OPAQUE:
            return kind, False, (), ""
        sizes = self.element((5, 6))
        if len(sizes) % 4 or not 8 <= len(sizes) <= 4 * _MAX_DIMENSIONS:
            raise ValueError(f"a matrix has {len(sizes)} bytes of dimensions")
        shape = struct.unpack(f"{self.order}{len(sizes) // 4}i", sizes)
        if min(shape) < 0 or (0 in shape and max(shape) > values_allowed(0)):
            raise ValueError(f"a matrix claims the shape {shape}")
        return kind, bool(flags & _COMPLEX), shape, self.element((1, 2)).decode("latin1")

    def field_count(self) -> int:
        """Fields of a struct, whose names follow."""
        (length,) = struct.unpack(f"{self.order}i", self.element((5, 6)))
        names = self.element((1, 2))
        if length < 1 or len(names) % length:
            raise ValueError(f"a struct has {len(names)} bytes of names of {length} each")
        return len(names) // length

    def element(
        self, kinds: Sequence[int] | dict[int, int], *, exactly: int = 0, at_least: int = 0
    ) -> bytes:
        """The bytes of an element of one of these types, with so many numbers."""
        first, second = self.tag()
        # Up to four bytes stand in the tag itself, their number in its upper half.
        small = first >> 16
        kind, size = (first & 0xFFFF, small) if small else (first, second)
        start = self.place - 4 if small else self.place
        self.place += 0 if small else size + -size % 8
        fits = not isinstance(kinds, dict) or size == exactly * kinds.get(kind, 1)
        if kind not in kinds or small > 4 or size < at_least or not fits:
            raise ValueError(
                f"an element of type {kind} and {size} bytes is not what belongs there"
            )
        if start + size > len(self.content):
            raise ValueError("an element is cut short")
        return self.content[start : start + size]

    def tag(self) -> tuple[int, int]:
        words = self.words.unpack_from(self.content, self.place)
        self.place += 8
        return words
