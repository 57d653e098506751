"""Label errors that can be detected without ground truth."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.sample import PoseSample

FaultKind = Literal[
    "unreadable",
    "picture-size",
    "empty",
    "degenerate-box",
    "out-of-frame",
    "swap-suspected",
    "duplicate",
]

# A box narrower than this, in px, holds no person.
MIN_BOX_PX = 4.0

# The shoulders turn against the hips by less than this in the image, except where one pair is
# seen so much from the side that its direction means nothing.
MAX_TWIST_DEG = 150.0
MIN_GIRDLE_SHARE = 0.3

# How much shorter two limbs must become by exchanging their ends.
MAX_EXCHANGED_SHARE = 0.6


@dataclass(frozen=True)
class Fault:
    """A suspected label error of a sample.

    Attributes:
        sample: Its name.
        kind: What kind of fault.
        reason: One sentence for people.
    """

    sample: str
    kind: FaultKind
    reason: str


def find_faults(samples: Sequence[PoseSample], read_images: bool = True) -> list[Fault]:
    """Find labels that are wrong or suspicious.

    - ``unreadable``: the picture is missing or damaged.
    - ``picture-size``: the labels were made for a picture of another size than the file's.
    - ``empty``: no joint has a label.
    - ``degenerate-box``: the box is not finite, or narrower or lower than ``MIN_BOX_PX``.
    - ``out-of-frame``: a label lies outside of the picture.
    - ``swap-suspected``: left and right look exchanged, see :func:`swap_reason`.
    - ``duplicate``: the same labels as an earlier sample's, or the same picture in another file.

    Args:
        samples: Of one data set.
        read_images: Decode the pictures. Without, only labels left of or above the picture are
            found to be outside of it, and only labels are compared.

    Returns:
        The faults in the order of the samples.
    """
    labels_seen: dict[bytes, str] = {}
    images_seen: dict[bytes, tuple[str, str]] = {}
    faults: list[Fault] = []
    for sample in samples:
        size, repeated = None, []
        if read_images:
            try:
                image = sample.image.read()
            except PoseActError as error:
                faults.append(Fault(sample.name, "unreadable", str(error)))
            else:
                size = image.shape[1], image.shape[0]
                faults += _size_fault(sample, size)
                repeated = list(_same_picture(sample, image, images_seen))
        faults += _label_faults(sample, size)
        faults += repeated or _same_labels(sample, labels_seen)
    return faults


def swap_reason(sample: PoseSample) -> str | None:
    """The reason why left and right joints seem swapped, or None.

    Either the line of the shoulders is turned against that of the hips by more than
    ``MAX_TWIST_DEG`` in the image, both being longer than ``MIN_GIRDLE_SHARE`` of the trunk; or
    both upper arms, or both thighs, together would be shorter than ``MAX_EXCHANGED_SHARE`` of what
    they are if their far ends were exchanged. Forearms and shins do cross in life.
    """
    places = {
        joint: sample.joints[index, :2].astype(float)
        for index, joint in enumerate(sample.skeleton.joints)
        if sample.valid[index]
    }
    twist = _twist_deg(places)
    if twist is not None and twist > MAX_TWIST_DEG:
        return f"the shoulders are turned against the hips by {twist:.0f} degrees in the image"
    for start, end in (("shoulder", "elbow"), ("hip", "knee")):
        share = _exchanged_share(places, start, end)
        if share is not None and share < MAX_EXCHANGED_SHARE:
            return (
                f"exchanging the {end}s would shorten the limbs from the {start}s to "
                f"{100 * share:.0f} % of their length"
            )
    return None


def _twist_deg(places: dict[str, np.ndarray]) -> float | None:
    """Angle between the lines of shoulders and hips; None where it is not known or means little."""
    ends = _ends(places, "shoulder", "hip")
    if ends is None:
        return None
    right_shoulder, left_shoulder, right_hip, left_hip = ends
    shoulders, hips = left_shoulder - right_shoulder, left_hip - right_hip
    trunk = np.linalg.norm((right_shoulder + left_shoulder - right_hip - left_hip) / 2)
    lengths = np.linalg.norm(shoulders), np.linalg.norm(hips)
    if min(lengths) <= MIN_GIRDLE_SHARE * trunk or min(lengths) == 0:
        return None
    cosine = np.clip(shoulders @ hips / (lengths[0] * lengths[1]), -1, 1)
    return float(np.degrees(np.arccos(cosine)))


def _exchanged_share(places: dict[str, np.ndarray], start: str, end: str) -> float | None:
    """Length of the two limbs with exchanged far ends, over their length as labelled."""
    ends = _ends(places, start, end)
    if ends is None:
        return None
    right_start, left_start, right_end, left_end = ends
    labelled = np.linalg.norm(right_start - right_end) + np.linalg.norm(left_start - left_end)
    exchanged = np.linalg.norm(right_start - left_end) + np.linalg.norm(left_start - right_end)
    return float(exchanged / labelled) if labelled > 0 else None


def _ends(places: dict[str, np.ndarray], *parts: str) -> list[np.ndarray] | None:
    """Right and left of each part; None if one is unknown."""
    names = [f"{side}_{part}" for part in parts for side in ("right", "left")]
    return [places[name] for name in names] if places.keys() >= set(names) else None


def _size_fault(sample: PoseSample, size: tuple[int, int]) -> Iterator[Fault]:
    stated = sample.picture_size
    if stated is not None and stated != size:
        yield Fault(
            sample.name,
            "picture-size",
            f"The labels are for a picture of {stated[0]} x {stated[1]} px, but {sample.image} has "
            f"{size[0]} x {size[1]} px.",
        )


def _label_faults(sample: PoseSample, size: tuple[float, float] | None) -> Iterator[Fault]:
    x0, y0, x1, y1 = sample.box
    if not (np.isfinite(sample.box).all() and min(x1 - x0, y1 - y0) >= MIN_BOX_PX):
        corners = ", ".join(f"{value:.1f}" for value in sample.box)
        yield Fault(
            sample.name,
            "degenerate-box",
            f"The box ({corners}) is narrower or lower than {MIN_BOX_PX:g} px.",
        )
    if not sample.valid.any():
        yield Fault(sample.name, "empty", f"None of the {len(sample.valid)} joints has a label.")
        return
    limit = (np.inf, np.inf) if size is None else size
    outside = sample.valid & (
        (sample.joints[:, :2] < 0) | (sample.joints[:, :2] > np.array(limit))
    ).any(1)
    if outside.any():
        names = [
            sample.skeleton.joints[index].replace("_", " ") for index in np.flatnonzero(outside)
        ]
        frame = "" if size is None else f" of {size[0]:g} x {size[1]:g} px"
        yield Fault(sample.name, "out-of-frame", f"{_list(names)} outside of the picture{frame}.")
    reason = swap_reason(sample)
    if reason is not None:
        yield Fault(sample.name, "swap-suspected", f"{reason[0].upper()}{reason[1:]}.")


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown[0].upper()}{shown[1:]} {'is' if len(names) == 1 else 'are'}"


def _same_labels(sample: PoseSample, seen: dict[bytes, str]) -> Iterator[Fault]:
    if not sample.valid.any():
        return
    joints = np.where(sample.valid[:, None], sample.joints, 0)
    digest = hashlib.sha256(joints.tobytes() + sample.valid.tobytes()).digest()
    first = seen.setdefault(digest, sample.name)
    if first != sample.name:
        yield Fault(sample.name, "duplicate", f"Its labels are the same as those of {first}.")


def _same_picture(
    sample: PoseSample, image: np.ndarray, seen: dict[bytes, tuple[str, str]]
) -> Iterator[Fault]:
    """Several people in one file are meant to share its picture."""
    digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
    source, first = seen.setdefault(digest, (str(sample.image), sample.name))
    if source != str(sample.image):
        yield Fault(sample.name, "duplicate", f"Its picture is the same as that of {first}.")
