"""Labels of actions: cleaning, and the label of all other motions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from poseact._utils.errors import PoseActError

BACKGROUND = "_other"
"""Label of motions that are none of the actions."""

_LONGEST = 200


def clean_label(text: str) -> str:
    """Normalise case, blanks, hyphens and Unicode forms of a label.

    ``" Push-Ups"`` and ``"push ups"`` both become ``push_ups``; letters of any script are kept.

    Raises:
        PoseActError: Nothing is left, or it is too long.
    """
    plain = unicodedata.normalize("NFKC", text).strip().lower()
    label = "".join(c for c in re.sub(r"[\s_-]+", "_", plain) if c.isprintable())
    if not any(c.isalnum() for c in label) or len(label) > _LONGEST:
        raise PoseActError(
            f"{text[:_LONGEST]!r} names no action; give a name with letters or digits, of at most "
            f"{_LONGEST} characters."
        )
    return label


def clean_labels(names: Iterable[str]) -> dict[str, str]:
    """The cleaned label of each name.

    Raises:
        PoseActError: Two names have the same.
    """
    first: dict[str, str] = {}
    labels: dict[str, str] = {}
    for name in dict.fromkeys(names):
        label = labels[name] = clean_label(name)
        if first.setdefault(label, name) != name:
            raise PoseActError(
                f"The labels {first[label]!r} and {name!r} both become {label!r} when cleaned; "
                "use one spelling for each action, and distinct names for different actions."
            )
    return labels
