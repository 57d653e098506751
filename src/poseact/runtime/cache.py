"""The user's cache: converted models by their weights, and the fastest runtime."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from poseact._utils.files import atomic_write, write_json
from poseact.runtime.interface import RuntimeName, threads_here
from poseact.weights.catalogue import cache_folder

# Of the graphs; files of another one are converted again.
_FORMAT = 5

_PACKAGES: dict[RuntimeName, str] = {
    "torch": "torch",
    "onnx": "onnxruntime",
    "openvino": "openvino",
}


class ModelCache:
    """The converted files of one graph.

    Args:
        content: What the graph is made from: the weights and what changes them.

    Attributes:
        folder: Of the files; not made before one is written.
    """

    def __init__(self, *content: bytes) -> None:
        sha = hashlib.sha256(f"{_FORMAT} {version('poseact')}".encode())
        for part in content:
            sha.update(hashlib.sha256(part).digest())
        self.folder = cache_folder() / "runtimes" / sha.hexdigest()[:32]

    def file(self, name: str, make: Callable[[Path], object]) -> Path:
        """Path of a file, which is made if it does not exist.

        Raises:
            PoseActError: It cannot be written.
        """
        path = self.folder / name
        if not path.is_file():
            atomic_write(path, make)
        return path

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON object that was written, None where there is none or it is damaged."""
        with suppress(OSError, ValueError):
            content = json.loads((self.folder / name).read_text("utf-8"))
            if isinstance(content, dict):
                return content
        return None

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON object.

        Raises:
            PoseActError: It cannot be written.
        """
        write_json(self.folder / name, content)


def machine() -> str:
    """Facts that determine the fastest runtime: processor, threads and versions."""
    parts = [_processor(), f"{threads_here()} threads"]
    for package in _PACKAGES.values():
        with suppress(PackageNotFoundError):
            parts.append(f"{package} {version(package)}")
    return ", ".join(parts)


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
