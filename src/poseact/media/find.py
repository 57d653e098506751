"""The pictures and videos that a path stands for."""

from __future__ import annotations

import re
from pathlib import Path

from poseact._utils.errors import PoseActError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov"),
        *(".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"),
    }
)

_KNOWN = ", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))


def find_media(source: Path, leave_out: Path | None = None) -> list[Path]:
    """The pictures and videos that a path stands for.

    Args:
        source: A file, or a folder that is searched with all folders below it. Hidden files and
            folders are left out: systems keep thumbnails and the like in them.
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
        inner = None if leave_out is None else leave_out.resolve()
        skipped = inner if inner != source.resolve() else None
        found = [
            path
            for path in source.rglob("*")
            if path.suffix.lower() in known
            and not any(part.startswith(".") for part in path.relative_to(source).parts)
            and (skipped is None or skipped not in path.resolve().parents)
            and path.is_file()
        ]
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


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key by which numbers count as numbers; the path itself settles a tie."""
    chunks = re.split(r"(\d+)", path.as_posix().casefold())
    key = [(0, int(chunk), "") if chunk.isdecimal() else (1, 0, chunk) for chunk in chunks]
    return key, path.as_posix()
