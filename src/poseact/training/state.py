"""The state of a training on disk, with a digest of everything that it depends on."""

from __future__ import annotations

import hashlib
import logging
import pickle
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from poseact._utils.errors import PoseActError

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, pickle.PickleError, EOFError),
    *(RuntimeError, LookupError, TypeError, ValueError),
)

_log = logging.getLogger(__name__)


class RunState(NamedTuple):
    """The state file of a run.

    Attributes:
        path: The file.
        digest: Digest of everything that the run depends on, see :func:`digest_of`.
    """

    path: Path
    digest: str

    def find(self) -> dict[str, Any] | None:
        """The state to resume; None, with a warning, if it is damaged or of another run.

        Raises:
            PoseActError: The file cannot be read.
        """
        if not self.path.exists():
            return None
        state = read_state(self.path, "global_step", "state_dict")
        if state is None:
            _log.warning("The state %s is damaged; the training starts again.", self.path)
        elif state.get("digest") != self.digest:
            _log.warning("The state %s belongs to another training and is replaced.", self.path)
            state = None
        return state


def read_state(path: Path, *parts: str) -> dict[str, Any] | None:
    """Read a saved state; None if the file is damaged or not a state.

    Args:
        path: A file of ``torch.save``. Only plain values and tensors are read, never code; tensors
            are mapped from disk.
        parts: Required keys.

    Raises:
        PoseActError: The file cannot be read at all, such as for lack of permission.
    """
    try:
        # Opened first, since torch reports damage and missing permissions alike.
        with path.open("rb") as file:
            file.read(1)
        with zipfile.ZipFile(path) as archive:
            # Torch does not look at the sums of the archive, so it would take changed weights.
            if archive.testzip() is not None:
                return None
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise PoseActError(
            f"The state {path} could not be read ({error.strerror or error}); check your "
            "permissions and the disk, or remove the file to start again."
        ) from error
    except _DAMAGED:
        return None
    whole = isinstance(state, dict) and all(part in state for part in parts)
    return cast(dict[str, Any], state) if whole else None


def digest_of(settings: object, *contents: Iterable[str | np.ndarray]) -> str:
    """Digest of everything that a run depends on: settings, data, split and network.

    Args:
        settings: Anything whose ``repr`` names all its values.
        contents: Data, and weights as :func:`weights_of` gives them.
    """
    total = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    for content in contents:
        for part in content:
            total.update(part.encode() if isinstance(part, str) else part.tobytes())
    return total.hexdigest()


def weights_of(network: nn.Module) -> Iterator[str | np.ndarray]:
    """The weights of a network, for :func:`digest_of`."""
    for name, value in network.state_dict().items():
        yield name
        yield value.cpu().numpy()
