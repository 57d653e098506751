"""Results of protocols."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from poseact.data.sample import evenly_spaced
from poseact.models.base import Network

T = TypeVar("T")

OnStep = Callable[[int, int], None]
"""Called with the people or videos done and their total."""


class Result(NamedTuple):
    """A measured number.

    Attributes:
        value: Value in the unit.
        unit: ``%`` or ``mm``.
        protocol: Everything needed to repeat the measurement, as one string.
        parts: Values of named parts, such as the actions of Human3.6M or the streams of a network.
    """

    value: float
    unit: str
    protocol: str
    parts: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return self._asdict()


class PaperProtocol(Protocol):
    """An evaluation as a paper describes it."""

    @property
    def data(self) -> str:
        """Name of the data set, which is also that of its folder."""
        ...

    def run(
        self, network: Network, root: Path, *, limit: int | None, weights: str, on_step: OnStep
    ) -> Result:
        """Evaluate a network.

        Args:
            network: In the skeleton that the data set can be converted to.
            root: Folder of the data set.
            limit: Number of evenly chosen people or videos to score; None for all.
            weights: Description of the weights for the protocol string.
            on_step: Called with the progress.

        Raises:
            PoseActError: The data cannot be read or do not fit the network.
        """
        ...


def limited(items: Sequence[T], limit: int | None) -> tuple[list[T], str]:
    """``limit`` of the items, and a note for the protocol string."""
    if limit is None or limit >= len(items):
        return list(items), ""
    return evenly_spaced(items, limit), f" (a quick look: {limit} of {len(items)})"
