"""The bundle of a recogniser for programs without PyTorch, made in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write

_LONGEST_S = 600


def make_bundle(weights: Path, target: Path) -> None:
    """Export weights to ONNX, as ``poseact export`` does, and zip what comes out.

    Args:
        weights: That a training wrote.
        target: The ZIP to make or replace.

    Raises:
        PoseActError: The export failed, or the extra for it is missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as place:
        out = Path(place) / "recogniser"
        command = [sys.executable, "-m", "poseact", "export", str(weights), "--to", "onnx"]
        done = subprocess.run(
            [*command, "-o", str(out)],
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
        if done.returncode:
            said = " ".join(done.stderr.split()).removeprefix("error: ")
            raise PoseActError(f"The bundle could not be made. {said[-500:]}")

        def write(partial: Path) -> None:
            with ZipFile(partial, "w", ZIP_DEFLATED) as archive:
                for path in sorted(out.rglob("*")):
                    if path.is_file():
                        archive.write(path, path.relative_to(out.parent).as_posix())

        atomic_write(target, write)
