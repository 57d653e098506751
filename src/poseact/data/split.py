"""Splits into training and test without common recordings."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from poseact._utils.errors import PoseActError

_DRAWS = 100


class Labelled(Protocol):
    """What can be split: a :class:`Clip` or a :class:`PoseSequence`."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str | None: ...
    @property
    def recording(self) -> str | None: ...
    @property
    def part(self) -> str | None: ...


Item = TypeVar("Item", bound=Labelled)


def split_by_recording(
    items: Sequence[Item], test: float = 0.3, seed: int = 0
) -> tuple[list[Item], list[Item]]:
    """Split clips or sequences into training and test, reproducibly by the seed.

    A recording is never divided, for its stretches are too alike to test each other. The share is
    kept for each label, counted in recordings, and a label of two or more recordings comes into
    both parts (unless recordings of several labels forbid it). An item that states its part keeps
    it, and so does the rest of its recording.

    Args:
        items: Those without a recording are one each.
        test: Share of the recordings for the test part, between 0 and 1.
        seed: Of the draw.

    Returns:
        The training and the test part, each in the order given.

    Raises:
        PoseActError: The share is out of range, or a recording states both parts.
    """
    check_share(test)
    stated = _stated(items)
    labels: dict[str | None, list[str]] = {}
    for item in items:
        recordings = labels.setdefault(item.label, [])
        if _recording(item) not in recordings:
            recordings.append(_recording(item))
    rng = np.random.default_rng(seed)
    best: tuple[int, set[str]] | None = None
    for _ in range(_DRAWS):
        drawn = _draw(labels, stated, test, rng)
        lacking = sum(_lacks_a_part(recordings, drawn) for recordings in labels.values())
        if best is None or lacking < best[0]:
            best = lacking, drawn
        if not lacking:
            break
    chosen = best[1] if best else set[str]()
    return (
        [item for item in items if _recording(item) not in chosen],
        [item for item in items if _recording(item) in chosen],
    )


def check_share(test: float) -> None:
    """Refuse a share of the test part that leaves one part empty.

    Raises:
        PoseActError: It is not between 0 and 1.
    """
    if not 0 < test < 1:
        raise PoseActError(f"A test share of {test:g} was asked for; give one between 0 and 1.")


def _recording(item: Labelled) -> str:
    return item.name if item.recording is None else item.recording


def _stated(items: Sequence[Labelled]) -> dict[str, str]:
    """The part of each recording that has one."""
    stated: dict[str, str] = {}
    for item in items:
        recording = _recording(item)
        if item.part and stated.setdefault(recording, item.part) != item.part:
            raise PoseActError(
                f"The recording {recording} has clips of both parts, {stated[recording]} "
                f"and {item.part}; assign all its clips to one part."
            )
    return stated


def _draw(
    labels: Mapping[str | None, list[str]],
    stated: Mapping[str, str],
    test: float,
    rng: np.random.Generator,
) -> set[str]:
    """The recordings of a test part.

    Labels of few recordings are served first, as in iterative stratification (Sechidis et al.
    2011), since those of many can make up for what is left.
    """
    parts = dict(stated)
    for recordings in sorted(labels.values(), key=len):
        share = round(test * len(recordings))
        wanted = min(max(share, 1), len(recordings) - 1)
        wanted -= sum(parts.get(recording) == "test" for recording in recordings)
        free = [recording for recording in recordings if recording not in parts]
        for position, index in enumerate(rng.permutation(len(free))):
            parts[free[index]] = "test" if position < wanted else "train"
    return {recording for recording, part in parts.items() if part == "test"}


def _lacks_a_part(recordings: list[str], drawn: set[str]) -> bool:
    """Whether a label with several recordings is missing from one part."""
    return len(recordings) > 1 and len({recording in drawn for recording in recordings}) == 1
