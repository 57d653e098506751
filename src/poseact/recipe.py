"""Recipes: everything that decides a training run, in one YAML file with typed fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from poseact.augment import AugmentRanges
from poseact.data.mix import rows_of
from poseact.data.sources import SourceSpec
from poseact.errors import PoseActError
from poseact.losses import PoseCriterion
from poseact.models.config import NetworkConfig
from poseact.models.multitask import MAP_STRIDE
from poseact.models.presets import preset_config
from poseact.skeleton import Skeleton


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSpec(_Part):
    """Which network, and from which weights it starts."""

    preset: str
    """One of :data:`poseact.PRESETS`."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Fields of the preset to change, such as ``{num_blocks: 4}``."""
    init: str | None = None
    """Weights to start from, a shipped name or a file; None for fresh ones."""

    @property
    def config(self) -> NetworkConfig:
        """The network's configuration."""
        return preset_config(self.preset, **self.changes)


class DataSpec(_Part):
    """What is learned from, and what is scored on the way."""

    train: dict[str, SourceSpec] = Field(min_length=1)
    validation: dict[str, SourceSpec] = Field(default_factory=dict)


class LossSpec(_Part):
    """Weights and width of :class:`poseact.losses.PoseCriterion`."""

    weights: dict[str, float] = Field(default_factory=dict)
    sigma: float = 1.0

    def build(self) -> PoseCriterion:
        """The criterion."""
        return PoseCriterion(self.weights, self.sigma)


class OptimiserSpec(_Part):
    """How the weights move."""

    name: Literal["muon", "adamw", "rmsprop"] = "muon"
    """``rmsprop`` is the papers', with the settings of Keras; ``muon`` is
    :class:`poseact.training.muon.Muon`."""
    lr: float = Field(default=2e-3, gt=0)
    """Of ``rmsprop`` and ``adamw``, and of what ``muon`` leaves to Adam."""
    matrix_lr: float = Field(default=0.02, gt=0)
    """Of ``muon``'s matrices."""
    weight_decay: float = Field(default=0.02, ge=0)
    """Of convolution kernels; ``rmsprop``, as in the papers, has none."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    ema: float | None = Field(default=0.999, gt=0, lt=1)
    """Decay of the moving average of the weights, which is what is scored and kept; None without.
    Early on the average moves faster, for then the weights are still random."""


class ScheduleSpec(_Part):
    """How the learning rate changes."""

    name: Literal["cosine", "steps"] = "cosine"
    warm_up: int = Field(default=300, ge=0)
    """Steps over which it rises linearly."""
    floor: float = Field(default=0.01, ge=0, le=1)
    """Share of the learning rate that the cosine ends at."""
    milestones: tuple[float, ...] = (80 / 120, 100 / 120)
    """Shares of the run after which ``steps`` multiplies it; the authors' epochs 80 and 100 of
    120 on MPII."""
    factor: float = Field(default=0.2, gt=0, lt=1)
    """What ``steps`` multiplies it by."""


class Recipe(_Part):
    """A training run of the pose model.

    Two runs of the same recipe on the same machine give the same weights.
    """

    name: str = Field(pattern=r"^[\w.-]+$")
    """Names the weights: letters, digits, dots, dashes."""
    licence: str
    """Terms of the weights, which follow from those of the data."""
    terms: dict[str, str] = Field(default_factory=dict)
    """What each data set is and its terms, for the weights' header."""
    network: NetworkSpec
    data: DataSpec
    augment: AugmentRanges = Field(default_factory=AugmentRanges)
    loss: LossSpec = Field(default_factory=LossSpec)
    optimiser: OptimiserSpec = Field(default_factory=OptimiserSpec)
    schedule: ScheduleSpec = Field(default_factory=ScheduleSpec)
    steps: int = Field(gt=0)
    """Steps of the optimiser."""
    batch: int = Field(default=32, gt=0)
    """Rows per step and process, each a clip or ``clip_length`` stills."""
    accumulate: int = Field(default=1, gt=0)
    """Batches per step."""
    clip_length: int = Field(default=1, gt=0)
    """T, frames in a row."""
    sizes: tuple[tuple[float, int], ...] = ()
    """Crop sides in px by the share of the run from which they are used, such as
    ``[[0, 96], [0.6, 128]]``; by default the network's own throughout."""
    validate_every: int = Field(default=1000, gt=0)
    """Steps between two validations."""
    checkpoint_minutes: float = Field(default=3.0, gt=0)
    """Time between two checkpoints."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        _ = self.network.config, self.loss.build(), self.rows
        starts = [start for start, _ in self.sizes]
        if self.sizes and (starts[0] != 0 or starts != sorted(starts) or starts[-1] >= 1):
            raise PoseActError(
                f"sizes: {self.sizes} was given; give shares that rise from 0 to below 1."
            )
        if any(size < 2 * MAP_STRIDE for _, size in self.sizes):
            raise PoseActError(f"sizes: {self.sizes} was given; give at least {2 * MAP_STRIDE} px.")
        return self

    @property
    def skeleton(self) -> Skeleton:
        """Joints of the network."""
        return self.network.config.skeleton

    @property
    def image_size(self) -> int:
        """Side of the crops that the network is scored on, in px."""
        return self.network.config.image_size

    @property
    def train(self) -> dict[str, SourceSpec]:
        """The data sets that are learned from."""
        return self.data.train

    @property
    def validation(self) -> dict[str, SourceSpec]:
        """The data sets that are scored."""
        return self.data.validation

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each training set in a batch."""
        return rows_of({name: spec.ratio for name, spec in self.train.items()}, self.batch)

    def size_at(self, step: int) -> int:
        """Side of the training crops at a step, in px."""
        size = self.image_size
        for start, value in self.sizes:
            if step >= start * self.steps:
                size = value
        return size


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a YAML file.

    Raises:
        PoseActError: The file is missing or no YAML, or a field is missing, unknown or wrong.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise PoseActError(f"The recipe {path} cannot be read ({reason}); give a YAML file.") from (
            error
        )
    if not isinstance(content, dict):
        raise PoseActError(f"The recipe {path} holds no fields; see the recipes that are shipped.")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'recipe'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise PoseActError(f"The recipe {path} is wrong: {faults}.") from error


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Fields in which two dumped recipes differ, as ``field: old -> new``."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name}: {before} -> {after}")
    return found
