"""Atomic file writes, and directory walks."""

import json
import logging
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from poseact._utils.errors import PoseActError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_TEMPORARY = ".poseact-"

_log = logging.getLogger(__name__)


def walk_files(folder: Path, leave_out: Path | None = None) -> list[Path]:
    """All files in a folder and the folders below it, in the order of their paths.

    Links to folders are followed. Each folder is read once, by its own path rather than by that of
    a link, so that links that lead round in a circle end. Hidden files and folders are left out:
    systems keep thumbnails and the like in them. Folders that cannot be read are logged.

    Args:
        folder: Where to look.
        leave_out: A folder that is not read, such as that of the results.
    """
    found: list[Path] = []
    # If the folder itself is to be left out, its content is still listed.
    # Path.resolve raises an error for links that lead round in a circle.
    real_path = os.path.realpath
    seen = {real_path(leave_out)} - {real_path(folder)} if leave_out else set[str]()
    waiting = [folder]
    while waiting:
        links: list[Path] = []
        for start in waiting:
            for place, names, files in os.walk(start, onerror=_warn_unreadable):
                here, real = Path(place), real_path(place)
                if real in seen:
                    names.clear()
                    continue
                seen.add(real)
                names[:] = [name for name in names if not name.startswith(".")]
                links += [here / name for name in names if (here / name).is_symlink()]
                found += [here / name for name in files if not name.startswith(".")]
        waiting = sorted(links)
    # A broken link is kept: whoever reads the file reports it.
    return sorted(path for path in found if path.is_file() or path.is_symlink())


def _warn_unreadable(error: OSError) -> None:
    _log.warning("The folder %s is left out: %s", error.filename, error.strerror)


def open_folder(folder: Path) -> None:
    """Make a folder for results, and remove temporary files of killed runs.

    Raises:
        PoseActError: There is a file of this name, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise PoseActError(f"{folder} is a file; give a folder for the results.") from None
    except OSError as error:
        raise unwritable(folder, error) from error
    for path in folder.rglob(f"{_TEMPORARY}*"):
        # Another run may have removed it in the meantime.
        with suppress(OSError), _held(path, os.O_RDWR) as free:
            if free:
                path.unlink()


@contextmanager
def replacing(path: Path, *, keep: bool = False) -> Generator[Path]:
    """A temporary path beside ``path`` that replaces it when the block succeeds.

    When the block fails, the temporary file is removed and whatever stood at ``path`` stays. The
    temporary file of a process that is killed is removed by :func:`open_folder`.

    Args:
        path: The file to make or replace; folders that are missing are made.
        keep: Name the temporary file ``STEM.unfinished-XXXXXXXX.SUFFIX``, and leave it there when
            the block fails or the process is killed, unless it is empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = uuid4().hex
    start = f"{path.stem}.unfinished-{unique[:8]}" if keep else f"{_TEMPORARY}{unique}"
    # The suffix stays because some writers choose the format by it; one of them takes a first ~ for
    # the home folder.
    temporary = path.absolute().with_name(f"{start}{path.suffix}")
    try:
        with _held(temporary, os.O_RDWR | os.O_CREAT):
            yield temporary
            temporary.replace(path)
    finally:
        if not (keep and temporary.exists() and temporary.stat().st_size):
            temporary.unlink(missing_ok=True)


@contextmanager
def _held(path: Path, flags: int) -> Generator[bool]:
    """A block that holds the lock of a file, which ends with the process; whether it is free.

    Windows needs none: there, a file that is written can be neither replaced nor removed.
    """
    if fcntl is None:
        yield True
        return
    file = os.open(path, flags, 0o666)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except OSError:  # It is held, or the file system has no locks.
            free = False
        yield free
    finally:
        os.close(file)


@contextmanager
def locked(path: Path) -> Generator[bool]:
    """Hold a lock file within the block; yields False if another process holds it."""
    with _held(path, os.O_RDWR | os.O_CREAT) as free:
        yield free


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


def write_json(path: Path, content: object) -> None:
    """Write plain values as JSON, atomically; other values are written as strings.

    Raises:
        PoseActError: The file cannot be written.
        ValueError: A number is not finite.
    """
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False, default=str) + "\n"
    atomic_write(path, lambda partial: partial.write_text(text, "utf-8"))


def unwritable(path: Path, error: Exception) -> PoseActError:
    """The error of a file that cannot be written."""
    reason = getattr(error, "strerror", None) or error
    return PoseActError(
        f"The file {path} could not be written ({reason}); "
        "check the folder, its permissions and the free disk space."
    )
