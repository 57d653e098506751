"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from poseact._utils.errors import PoseActError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place once the block has succeeded.

    When the block fails, the temporary file is removed and whatever stood at ``path`` stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays because some writers choose the format by it.
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a whole file or leave the old one as it was.

    Args:
        path: The file to make or replace; folders that are missing are made.
        write: Called with the path to write to.

    Raises:
        PoseActError: The file cannot be written.
    """
    try:
        with replacing(Path(path)) as partial:
            write(partial)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: Exception) -> PoseActError:
    """The error of a file that cannot be written."""
    reason = getattr(error, "strerror", None) or error
    return PoseActError(
        f"The file {path} could not be written ({reason}); "
        f"check the folder, your rights to it and the space left."
    )
