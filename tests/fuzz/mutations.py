"""Mutations of bytes, of JSON values and of what lies inside of containers."""

from __future__ import annotations

import io
import json
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

Mutation = Callable[[random.Random, bytes], bytes]

ODD_BYTES = (0x00, 0x01, 0x0A, 0x20, 0x22, 0x2C, 0x3A, 0x5B, 0x7B, 0x7F, 0x80, 0xFF)
ODD_NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
ODD_VALUES = (
    *(None, True, -1, 0, 0.5, 10**12, 10**30, 10**400, -(2**63), 1e308, float("nan"), float("inf")),
    *("", "x", "x" * 300, "../../etc/passwd", "/etc/passwd", "a\0b", "\x1b[31m", "é", "\ud800"),
    *([], {}, [None], [[]], [1, 2, 3], {"a": 1}, [1e999] * 51, ["1"] * 51),
)


def of_bytes(rng: random.Random, content: bytes) -> bytes:
    """One to eight changes at random places."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        data = _changed(rng, data)
    return bytes(data)


def _changed(rng: random.Random, data: bytearray) -> bytearray:
    if not data:
        return bytearray(rng.randbytes(8))
    place = rng.randrange(len(data))
    size = rng.choice((1, 2, 4, 8, 16, 64, 1024))
    match rng.randrange(8):
        case 0:
            data[place] ^= 1 << rng.randrange(8)
        case 1:
            data[place] = rng.choice(ODD_BYTES)
        case 2:
            order = rng.choice("<>")
            number = struct.pack(f"{order}I", rng.choice(ODD_NUMBERS))
            data[place : place + 4] = number
        case 3:
            del data[place : place + size]
        case 4:
            data[place:place] = data[place : place + size]
        case 5:
            other = rng.randrange(len(data))
            data[place : place + size] = data[other : other + size]
        case 6:
            data[place:place] = rng.randbytes(size)
        case _:
            del data[place:]
    return data


def of_json(rng: random.Random, content: bytes) -> bytes:
    """Values replaced by odd ones, or bytes changed."""
    if rng.random() < 0.2:
        return of_bytes(rng, content)
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _replaced(rng, value)
    if rng.random() < 0.02:
        return b'{"a":' * 10**5
    return json.dumps(value).encode()


def _replaced(rng: random.Random, value: Any) -> Any:
    """The same with one value within replaced."""
    if not isinstance(value, list | dict) or not value or rng.random() < 0.15:
        return rng.choice(ODD_VALUES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = rng.choice(keys)
    if rng.random() < 0.15:
        if isinstance(value, list):
            return value[:key] + value[key + 1 :]
        return {name: inner for name, inner in value.items() if name != key}
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = _replaced(rng, copy[key])
    return copy


def of_text(rng: random.Random, content: bytes) -> bytes:
    """Words replaced by odd ones, lines repeated or left out, or bytes changed."""
    if rng.random() < 0.4:
        return of_bytes(rng, content)
    lines = content.decode("utf-8", "replace").splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not lines:
            break
        place = rng.randrange(len(lines))
        match rng.randrange(4):
            case 0:
                lines.pop(place)
            case 1:
                lines[place:place] = lines[place : place + rng.choice((1, 5))]
            case _:
                words = lines[place].split(" ")
                odd = rng.choice(ODD_VALUES)
                words[rng.randrange(len(words))] = rng.choice((str(odd), json.dumps(odd)))
                lines[place] = " ".join(words)
    return "".join(lines).encode("utf-8", "surrogatepass")


def of_zip(rng: random.Random, content: bytes) -> bytes:
    """A member changed and packed again, or bytes changed."""
    if rng.random() < 0.5:
        return of_bytes(rng, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    # Half of them in the header, which is what claims anything.
    end = rng.choice((128, len(members[name])))
    members[name] = of_bytes(rng, members[name][:end]) + members[name][end:]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as made:
        for key, value in members.items():
            made.writestr(key, value)
    return out.getvalue()


def of_tar(rng: random.Random, content: bytes) -> bytes:
    """The labels of a member changed and packed again, or bytes changed."""
    if rng.random() < 0.4:
        return of_bytes(rng, content)
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive, tarfile.open(None, "w", out) as made:
        entries = archive.getmembers()
        chosen = rng.choice([entry.name for entry in entries])
        for entry in entries:
            file = archive.extractfile(entry)
            data = b"" if file is None else file.read()
            if entry.name == chosen:
                by_kind = {"json": of_json, "npz": of_zip}
                data = by_kind.get(entry.name.rpartition(".")[2], of_bytes)(rng, data)
                entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def of_safetensors(rng: random.Random, content: bytes) -> bytes:
    """The header changed, its length kept right, or bytes changed."""
    if rng.random() < 0.3:
        return of_bytes(rng, content)
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    own = json.loads(header["__metadata__"]["poseact"])
    if rng.random() < 0.8:
        header["__metadata__"]["poseact"] = json.dumps(_replaced(rng, own))
    else:
        header = _replaced(rng, header)
    made = json.dumps(header).encode()
    return struct.pack("<Q", len(made)) + made + content[8 + size :]
