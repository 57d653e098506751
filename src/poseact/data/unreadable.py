"""Counts unreadable pictures; too many are an error."""

import logging
from collections.abc import Iterable, Mapping

from poseact._utils.errors import PoseActError
from poseact.data.sample import PoseSample

UNREADABLE_LIMIT = 0.01
"""Share of a data set's pictures that may be unreadable."""

_log = logging.getLogger(__name__)


class UnreadableTally:
    """Counts the pictures of each data set that could not be read.

    Args:
        sizes: Number of pictures of each data set.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self.messages: dict[str, set[str]] = {name: set() for name in sizes}

    @property
    def count(self) -> int:
        return sum(len(messages) for messages in self.messages.values())

    def add(self, faults: Iterable[tuple[str, str]]) -> None:
        """Count unreadable pictures by data set and message, each only once.

        Raises:
            PoseActError: More than ``UNREADABLE_LIMIT`` of a data set cannot be read.
        """
        for name, message in faults:
            if message in self.messages[name]:
                continue
            self.messages[name].add(message)
            count, size = len(self.messages[name]), self.sizes[name]
            _log.warning("%s: picture %d left out. %s", name, count, message)
            if count > UNREADABLE_LIMIT * size:
                raise PoseActError(
                    f"{count} of the {size} pictures of {name} cannot be read, which is more than "
                    f"{UNREADABLE_LIMIT:.0%}; repair them or name them under leave_out. The last: "
                    f"{message}"
                )


def existing(name: str, samples: list[PoseSample], tally: UnreadableTally) -> list[PoseSample]:
    """The samples whose pictures exist; the others are counted in the tally.

    Raises:
        PoseActError: More than ``UNREADABLE_LIMIT`` are missing.
    """
    found: list[PoseSample] = []
    for sample in samples:
        if sample.image.exists():
            found.append(sample)
        else:
            tally.add([(name, f"{sample.image} does not exist.")])
    return found
