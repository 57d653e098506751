"""Pictures and videos in a path."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact._utils.files import walk_files

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov"),
        *(".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"),
    }
)

_KNOWN = ", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))

# Of the files that are no media, so many are named.
_NAMED = 10

_log = logging.getLogger(__name__)


def find_media(source: Path, leave_out: Path | None = None) -> list[Path]:
    """Pictures and videos in a path.

    Args:
        source: A file, or a folder that is searched with all folders below it, as
            :func:`~poseact._utils.files.walk_files` does. Files of other kinds are named in a
            warning.
        leave_out: A folder below ``source`` that is not searched, such as that of the results.

    Returns:
        Paths in natural order, ``frame2.png`` before ``frame10.png``.

    Raises:
        PoseActError: The path is missing, the folder holds no media, or the file's suffix is none
            of the known ones.
    """
    source = Path(source)
    known = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    try:
        is_dir, exists = source.is_dir(), source.exists()
    except OSError as error:
        raise PoseActError(
            f"The path {source} cannot be looked up ({error.strerror}); check it."
        ) from error
    if is_dir:
        found: list[Path] = []
        others: list[Path] = []
        for path in walk_files(source, leave_out):
            (found if path.suffix.lower() in known else others).append(path)
        warn_skipped(source, others)
        if not found:
            raise PoseActError(
                f"The folder {source} holds no picture or video; "
                f"put some there, with one of the suffixes {_KNOWN}."
            )
        return sorted(found, key=lambda path: _natural(path.relative_to(source)))
    if not exists:
        raise PoseActError(f"There is no file or folder {source}; check the path.")
    if source.suffix.lower() not in known:
        raise PoseActError(
            f"The file {source} is not known to be a picture or a video; "
            f"give one with a suffix of {_KNOWN}."
        )
    return [source]


def warn_skipped(folder: Path, files: Sequence[Path]) -> None:
    """Warn of files in a folder that are skipped because of their suffix."""
    if not files:
        return
    names = ", ".join(file.relative_to(folder).as_posix() for file in files[:_NAMED])
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    _log.warning(
        "%d files in %s are skipped, because they are not pictures or videos: %s%s",
        *(len(files), folder, names, more),
    )


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that compares numbers by value; the path itself settles a tie."""
    chunks = re.split(r"(\d+)", path.as_posix().casefold())
    key = [(0, int(chunk), "") if chunk.isdecimal() else (1, 0, chunk) for chunk in chunks]
    return key, path.as_posix()
