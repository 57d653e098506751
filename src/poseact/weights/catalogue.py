"""Catalogue of published weight files, and their download if online."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact._utils.files import replacing

_RELEASES = "https://github.com/dluvizon/deephar/releases/download"


@dataclass(frozen=True)
class PublishedFile:
    """A weight file that the authors of the networks published.

    Attributes:
        preset: The network that it belongs to.
        file_name: Name of the file.
        url: Download address.
        md5: Check sum, None where the authors give none.
        release: Release of the authors' repository, None where it is elsewhere.
        licence: Licence of the file.
        by_hand: Whether only a browser can download it.
    """

    preset: str
    file_name: str
    url: str
    md5: str | None = None
    release: str | None = None
    licence: str = "MIT (Diogo Carbonera Luvizon)"
    by_hand: bool = False


def _released(preset: str, release: str, file_name: str, md5: str) -> PublishedFile:
    return PublishedFile(preset, file_name, f"{_RELEASES}/{release}/{file_name}", md5, release)


# Names, addresses and check sums as the authors' evaluation scripts state them.
PUBLISHED = (
    _released(
        "cvpr18-mpii",
        "v0.1",
        "weights_PE_MPII_cvpr18_19-09-2017.h5",
        "d6b85ba4b8a3fc9d05c8ad73f763d999",
    ),
    _released(
        "cvpr18-h36m",
        "v0.2",
        "weights_3DPE_H36M_cvpr18_Nov-2017.h5",
        "af79f83ad939117d4ccc2cf1d4bd37d2",
    ),
    _released(
        "cvpr18-penn",
        "v0.3",
        "weights_AR_merge_ep074_26-10-17.h5",
        "f53f89257077616a79a6c1cd1702d50f",
    ),
    _released(
        "cvpr18-ntu",
        "v0.4",
        "weights_AR_merge_NTU_v2.h5",
        "ff98d70a7f6bc5976cc11c7a5760e8b7",
    ),
    PublishedFile(
        "spnet-penn",
        "weights_mpii+penn_ar_028.hdf5",
        "https://drive.google.com/file/d/106yIhqNN-TrI34SX81q2xbU-NczcQj6I/view",
        by_hand=True,
    ),
    PublishedFile(
        "spnet-ntu",
        "weights_3dp+ntu_ar_062.hdf5",
        "https://drive.google.com/file/d/1I6GftXEkL5nohLA60Vi6faW0rvTZg6Kx/view",
        by_hand=True,
    ),
)


def published_file(preset: str) -> PublishedFile | None:
    """The authors' file for a preset, None where they published none."""
    return next((file for file in PUBLISHED if file.preset == preset), None)


def cache_folder() -> Path:
    """Folder of downloaded files: ``$POSEACT_CACHE``, else ``~/.cache/poseact``.

    Users without a home have it in the folder for temporary files.
    """
    if chosen := os.environ.get("POSEACT_CACHE"):
        return Path(chosen)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "poseact"
    try:
        return Path.home() / ".cache" / "poseact"
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return Path(tempfile.gettempdir()) / f"poseact-{os.getuid()}"


def cached_file(preset: str) -> Path | None:
    """The downloaded file of a preset, or None."""
    file = published_file(preset)
    path = cache_folder() / file.file_name if file else None
    return path if path is not None and path.is_file() else None


def fetch(
    preset: str,
    folder: Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Download the authors' file of a preset and verify its md5; a verified copy is reused.

    Args:
        preset: A preset of the catalogue.
        folder: Where to keep it, default :func:`cache_folder`.
        progress: Called with the bytes so far and in all (None where unknown).

    Raises:
        PoseActError: Nothing was published for it, it cannot be fetched by a program, there is no
            network, or the check sum differs.
    """
    file = published_file(preset)
    if file is None:
        raise PoseActError(
            f"The authors published no file for {preset!r}; "
            f"there are files for {', '.join(f.preset for f in PUBLISHED)}."
        )
    target = (folder or cache_folder()) / file.file_name
    if target.is_file() and file.md5 in (None, md5_of(target)):
        return target
    if file.by_hand:
        raise PoseActError(
            f"The file of {preset} can only be downloaded by hand, from {file.url}; "
            f"put it at {target}, then --weights {preset} will find it."
        )
    try:
        with replacing(target) as temporary:
            _download(file.url, temporary, progress)
            found = md5_of(temporary)
            if file.md5 is not None and found != file.md5:
                raise PoseActError(
                    f"{file.url} was downloaded with md5 {found}, expected {file.md5}; "
                    "nothing was kept, so try again."
                )
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PoseActError(
            f"{file.url} could not be fetched ({error}); check the network, or download it by hand "
            "and run 'poseact import-keras'."
        ) from error
    return target


def md5_of(path: Path) -> str:
    """MD5 checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _download(url: str, target: Path, progress: Callable[[int, int | None], None] | None) -> None:
    with urllib.request.urlopen(url, timeout=30) as response, target.open("wb") as out:
        length = response.headers.get("Content-Length")
        total = int(length) if length else None
        done = 0
        while chunk := response.read(1 << 20):
            out.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
