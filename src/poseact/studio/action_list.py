"""The actions of a folder with their colours, also those without clips yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from poseact._utils.boundary import parse_json
from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact.actions.action_names import BACKGROUND
from poseact.studio.clip_edits import ConflictError, checked_label

MOST_ACTIONS = 200

# Told apart by people who see no red or green (Okabe and Ito 2008, without black and yellow).
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7b61c4", "#8a6d3b")
_GREY = "#7a828e"
_COLOUR = re.compile(r"#[0-9a-f]{6}")


class ActionList:
    """Names and colours, kept in a file beside the clips.

    Args:
        file: JSON.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, Lock()

    def all(self, used: Iterable[str]) -> dict[str, str]:
        """The colour of every action, those with clips among them; other motion is the last."""
        colours = self._read()
        for label in dict.fromkeys([*used, BACKGROUND]):
            colours.setdefault(label, "")
        colours[BACKGROUND] = colours.pop(BACKGROUND) or _GREY
        free = [colour for colour in _COLOURS if colour not in colours.values()] or list(_COLOURS)
        for place, label in enumerate(label for label, colour in colours.items() if not colour):
            colours[label] = free[place % len(free)]
        return colours

    def add(self, text: str, used: Iterable[str]) -> str:
        """Add an action; returns its label.

        Raises:
            ConflictError: It is there already.
            PoseActError: The text names no action, or there are too many.
        """
        label = checked_label(text)
        with self._lock:
            colours = self.all(used)
            if label in colours:
                raise ConflictError(f"There is an action {label} already.")
            if len(colours) >= MOST_ACTIONS:
                raise PoseActError(f"There are {len(colours)} actions; no more can be added.")
            colours[label] = ""
            write_json(self._file, colours)
        return label

    def recolour(self, label: str, colour: str, used: Iterable[str]) -> None:
        """Set the colour of an action.

        Raises:
            PoseActError: It is no colour such as ``#0072b2``.
        """
        if not _COLOUR.fullmatch(colour):
            raise PoseActError(f"The colour {colour[:20]!r} was given; give one such as #0072b2.")
        with self._lock:
            write_json(self._file, self.all(used) | {label: colour})

    def rename(self, label: str, new: str) -> None:
        """Give an action another label, which keeps its place and colour."""
        with self._lock:
            colours = self._read()
            write_json(self._file, {new if k == label else k: v for k, v in colours.items()})

    def remove(self, label: str) -> None:
        """Forget an action; one with clips comes back with them."""
        with self._lock:
            colours = self._read()
            colours.pop(label, None)
            write_json(self._file, colours)

    def _read(self) -> dict[str, str]:
        try:
            kept = parse_json(self._file.read_bytes())
            return {str(label): str(colour) for label, colour in kept.items()}
        except (OSError, ValueError, AttributeError):
            return {}
