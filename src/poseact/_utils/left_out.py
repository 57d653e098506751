"""Skips invalid entries of a label file or folder, and reports them at the end."""

import logging
from collections.abc import Generator, Sized
from contextlib import contextmanager

from poseact._utils.errors import PoseActError

SHOWN = 5
"""Reasons that a warning lists; of further ones it gives the number."""

_log = logging.getLogger(__name__)


class LeftOut:
    """Counts entries that cannot be used, so that they do not stop the others.

    Args:
        place: The file or folder that they are in, for messages.
        what: What they are, in the plural.

    Attributes:
        count: Entries left out so far.
    """

    def __init__(self, place: object, what: str) -> None:
        self._place, self._what = place, what
        self._reasons: list[str] = []
        self.count = 0

    @contextmanager
    def entry(self) -> Generator[None]:
        """A block that handles one entry; a :class:`PoseActError` in it leaves the entry out."""
        try:
            yield
        except PoseActError as error:
            self.count += 1
            if self.count <= SHOWN:
                self._reasons.append(str(error))

    def finish(self, kept: Sized) -> None:
        """Warn of the entries left out.

        Raises:
            PoseActError: Entries were left out, and none is kept.
        """
        if not self.count:
            return
        if not len(kept):
            first = self._reasons[0]
            if self.count == 1:
                raise PoseActError(first)
            raise PoseActError(
                f"None of the {self.count} {self._what} of {self._place} can be used; the first: "
                f"{first}"
            )
        more = self.count - len(self._reasons)
        reasons = [*self._reasons, *([f"and {more} more"] if more else [])]
        _log.warning(
            "%d of %d %s of %s left out: %s",
            *(self.count, self.count + len(kept), self._what, self._place, " ".join(reasons)),
        )
