"""Parquet files: checks of their claimed size, and columns of strings.

A page header says how many bytes the page has once it is decompressed, and the reader takes so much
memory, whatever the rest of the file says. Source: Apache Parquet, parquet.thrift; Thrift compact
protocol.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from poseact._utils.boundary import require_values

# A pose takes a hundred bytes and more, unless nothing moves.
_LEAST_POSES = 2**16
_BYTES_PER_POSE = 4

_LONGEST_NUMBER = 64
# Of parquet.thrift: PageHeader, FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_UNCOMPRESSED, _COMPRESSED = 2, 3
_GROUPS, _COLUMNS, _FACTS = 4, 1, 3
_CHUNK_BYTES, _DATA_PAGE, _DICTIONARY_PAGE = 7, 9, 11
_TAIL_BYTES = 8


def require_sizes(path: Path, stated: pq.FileMetaData, joints: int) -> None:
    """Refuse a table of poses that claims more than a file of its size holds.

    Raises:
        Exception: ValueError: it does; or what a damaged page header leads to.
    """
    file_bytes = path.stat().st_size
    require_values(max(2 * stated.num_rows, _unfolded_bytes(path) // 8), file_bytes)
    poses = stated.num_rows // joints
    if poses > _LEAST_POSES + file_bytes // _BYTES_PER_POSE:
        raise ValueError(f"it claims {poses:,} poses in {file_bytes:,} bytes")


def column(values: np.ndarray) -> pa.Array:
    """A column of ``(N,)`` numbers or truth values, NaN as null.

    ``pyarrow.array`` imports pandas where it is installed, which takes longer than a photo does.
    """
    bits = values if values.dtype == bool else None
    there = ~np.isnan(values)
    content = np.ascontiguousarray(values) if bits is None else _packed(bits)
    kind = pa.from_numpy_dtype(values.dtype)
    buffers = [pa.py_buffer(_packed(there)), pa.py_buffer(content)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _packed(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, bitorder="little")


def texts_column(numbers: np.ndarray, texts: Sequence[str]) -> pa.Array:
    """A column of texts, of which each of the ``(N,)`` int32 rows has one."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    names = pa.Array.from_buffers(pa.string(), len(texts), buffers)
    return pa.DictionaryArray.from_arrays(column(numbers), names)


def dictionary_column(rows: pa.RecordBatch, name: str) -> tuple[list[str], np.ndarray]:
    """The distinct strings of a column, and the index of each row's."""
    found = rows.column(name)
    if not isinstance(found, pa.DictionaryArray) or found.null_count:
        raise TypeError(f"its column {name} does not hold texts")
    return found.dictionary.to_pylist(), found.indices.to_numpy(zero_copy_only=False)


def _unfolded_bytes(path: Path) -> int:
    """Bytes of all pages of a file once they are decompressed, as their headers say.

    The places of the pages are read here too: pyarrow ends the process where the statistics of a
    column are damaged.
    """
    total = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        tail = len(content) - _TAIL_BYTES
        length = int.from_bytes(content[tail : tail + 4], "little")
        footer = _Thrift(content, tail - length).struct()
        for chunk in (chunk for group in footer[_GROUPS] for chunk in group[_COLUMNS]):
            facts = chunk[_FACTS]
            start = facts.get(_DICTIONARY_PAGE) or facts[_DATA_PAGE]
            end = start + facts[_CHUNK_BYTES]
            header = _Thrift(content, start)
            while header.place < end:
                fields = header.struct()
                compressed = fields[_COMPRESSED]
                if compressed < 0 or fields[_UNCOMPRESSED] < 0:
                    raise ValueError("a page has fewer than 0 bytes")
                total += fields[_UNCOMPRESSED]
                header.place += compressed
                if header.place > min(end, tail):
                    raise ValueError("a page ends behind its column")
    return total


class _Thrift:
    """Reads structs in Thrift's compact protocol."""

    def __init__(self, content: mmap.mmap, place: int) -> None:
        self.content, self.place = content, place

    def struct(self) -> dict[int, Any]:
        """Its integers, lists and structs by field; 0 for values of other types."""
        fields: dict[int, Any] = {}
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.signed()
            fields[field] = self.value(head & 15)
        return fields

    def value(self, kind: int) -> Any:
        match kind:
            case 1 | 2:  # The type of a truth value is the value.
                pass
            case 3:
                self.place += 1
            case 4 | 5 | 6:
                return self.signed()
            case 7:
                self.place += 8
            case 8:
                length = self.number()
                self.place += length
            case 9:
                head = self.byte()
                count = head >> 4 if head >> 4 < 15 else self.number()
                # A value takes a byte at least, a truth value in a list too.
                if count > len(self.content) - self.place:
                    raise ValueError(f"a list claims {count:,} values")
                return [self.value(3 if head & 15 < 3 else head & 15) for _ in range(count)]
            case 12:
                return self.struct()
            case _:
                raise ValueError(f"a header has a value of type {kind}")
        return 0

    def signed(self) -> int:
        """An integer in zigzag encoding."""
        number = self.number()
        return (number >> 1) ^ -(number & 1)

    def number(self) -> int:
        """An integer of 7 bits per byte."""
        number = 0
        for shift in range(0, _LONGEST_NUMBER, 7):
            byte = self.byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise ValueError("a header has a number of more than 64 bits")

    def byte(self) -> int:
        self.place += 1
        return self.content[self.place - 1]
