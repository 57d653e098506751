"""Catalogue of published weight files, and their download where there is a network."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from poseact.errors import PoseActError
from poseact.files import replacing

_RELEASES = "https://github.com/dluvizon/deephar/releases/download"


@dataclass(frozen=True)
class PublishedFile:
    """A weight file that the authors of the networks published.

    Attributes:
        preset: The network that it belongs to.
        url: Where it lies; ``direct`` says whether a program can get it from there.
        md5: Check sum, where the authors' scripts give one.
        release: Release of the authors' repository.
        licence: Terms.
    """

    preset: str
    url: str
    md5: str | None
    release: str | None
    licence: str = "MIT (Diogo Carbonera Luvizon)"
    direct: bool = True

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return self.url.rsplit("/", 1)[-1]


# Names, releases and check sums as the authors' evaluation scripts state them.
PUBLISHED = (
    PublishedFile(
        "cvpr18-mpii",
        f"{_RELEASES}/v0.1/weights_PE_MPII_cvpr18_19-09-2017.h5",
        "d6b85ba4b8a3fc9d05c8ad73f763d999",
        "v0.1",
    ),
    PublishedFile(
        "cvpr18-h36m",
        f"{_RELEASES}/v0.2/weights_3DPE_H36M_cvpr18_Nov-2017.h5",
        "af79f83ad939117d4ccc2cf1d4bd37d2",
        "v0.2",
    ),
    PublishedFile(
        "cvpr18-penn",
        f"{_RELEASES}/v0.3/weights_AR_merge_ep074_26-10-17.h5",
        "f53f89257077616a79a6c1cd1702d50f",
        "v0.3",
    ),
    PublishedFile(
        "cvpr18-ntu",
        f"{_RELEASES}/v0.4/weights_AR_merge_NTU_v2.h5",
        "ff98d70a7f6bc5976cc11c7a5760e8b7",
        "v0.4",
    ),
    PublishedFile(
        "spnet-ntu",
        "https://drive.google.com/file/d/1I6GftXEkL5nohLA60Vi6faW0rvTZg6Kx/view",
        None,
        None,
        direct=False,
    ),
)


def published_file(preset: str) -> PublishedFile | None:
    """The authors' file for a preset, None where they published none."""
    return next((file for file in PUBLISHED if file.preset == preset), None)


def cache_folder() -> Path:
    """Where fetched files are kept: ``$POSEACT_CACHE``, else ``~/.cache/poseact``."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "poseact"
    return Path(os.environ.get("POSEACT_CACHE", default))


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
    if not file.direct:
        raise PoseActError(
            f"The file of {preset} can only be downloaded by hand from {file.url}; then run "
            f"'poseact import-keras FILE --preset {preset} -o OUT.safetensors'."
        )
    if target.is_file() and md5_of(target) == file.md5:
        return target
    try:
        with replacing(target) as temporary:
            _download(file.url, temporary, progress)
            found = md5_of(temporary)
            if file.md5 is not None and found != file.md5:
                raise PoseActError(
                    f"{file.url} was downloaded with md5 {found}, expected {file.md5}; "
                    "nothing was kept, so try again."
                )
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise PoseActError(
            f"{file.url} could not be fetched ({error}); check the network, or download it by hand "
            "and run 'poseact import-keras'."
        ) from error
    return target


def md5_of(path: Path) -> str:
    """Check sum of a file."""
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
