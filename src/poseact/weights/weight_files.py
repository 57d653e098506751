"""Paths of weights, by name or file; independent of PyTorch."""

from importlib.resources import files
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact.weights.catalogue import cached_file

RETIRED = {"tiny-open": "small-open", "tiny-research": "small-research"}
"""Weights of earlier versions, and those that replace them."""


def shipped_weights() -> dict[str, Path]:
    """Shipped weights by name."""
    folder = Path(str(files("poseact.assets")))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def published_weights(path_or_name: str | Path) -> Path | None:
    """The downloaded file of a preset; files on disk and shipped names take precedence."""
    name = str(path_or_name)
    return None if _is_file(Path(name)) or name in shipped_weights() else cached_file(name)


def find_weights(path_or_name: str | Path) -> Path:
    """The checkpoint of a path or a shipped name.

    Raises:
        PoseActError: There is none.
    """
    path = Path(path_or_name)
    if _is_file(path):
        return path
    known = shipped_weights()
    if str(path_or_name) in known:
        return known[str(path_or_name)]
    if str(path_or_name) in RETIRED:
        raise PoseActError(
            f"The weights {path_or_name} are no longer part of the package; use "
            f"{RETIRED[str(path_or_name)]}, and train actions on top of it again."
        )
    raise PoseActError(
        f"There are no weights {str(path_or_name)!r}: neither a file nor a shipped name "
        f"({', '.join(known) or 'none'}); give a .safetensors file, or download published "
        "ones with 'poseact weights fetch PRESET'."
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for a file is no file
        return False
