"""Where the studio keeps its own files, in a hidden folder that trainings do not read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Places(NamedTuple):
    """Files and folders of the studio within a folder of clips.

    Attributes:
        folder: The folder of clips.
    """

    folder: Path

    @property
    def own(self) -> Path:
        """The studio's folder."""
        return self.folder / ".studio"

    @property
    def actions(self) -> Path:
        """Names and colours of the actions, as JSON."""
        return self.own / "actions.json"

    @property
    def incoming(self) -> Path:
        """Files that are being received; emptied at the start."""
        return self.own / "incoming"

    @property
    def cache(self) -> Path:
        """Features of clips, which trainings read."""
        return self.own / "cache"

    @property
    def looks(self) -> Path:
        """Facts and thumbnail of each clip."""
        return self.own / "looks"

    @property
    def training(self) -> Path:
        """Results of the full training."""
        return self.own / "training"

    @property
    def instant(self) -> Path:
        """Weights of the instant recogniser."""
        return self.own / "instant" / "actions.safetensors"

    @property
    def trained(self) -> Path:
        """Weights of the full training."""
        return self.training / "actions.safetensors"

    @property
    def bundle(self) -> Path:
        """The bundle that was made last, as ZIP."""
        return self.own / "bundle" / "recogniser.zip"
