"""Recipes: all settings of a training run, as a YAML file with typed fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from poseact._utils.boundary import one_sentence, refuse_device
from poseact._utils.errors import PoseActError
from poseact._utils.yaml_text import parse_yaml
from poseact.data.augment import AugmentRanges
from poseact.data.mix import rows_of
from poseact.data.sources import SourceSpec
from poseact.losses import ActionCriterion, MultitaskCriterion, PoseCriterion
from poseact.models.config import NetworkConfig
from poseact.models.multitask import MAP_STRIDE
from poseact.models.presets import preset_config
from poseact.skeleton import Skeleton

_MOST_STAGES = 100
_MOST = 2**16
_MOST_SEED = 2**32 - 1  # of NumPy's global generator, which training seeds too


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkSpec(_Part):
    """The network and its initial weights."""

    preset: str
    """One of :data:`poseact.PRESETS`."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Changed fields of the preset, such as ``{num_blocks: 4}``."""
    init: str | None = None
    """Initial weights, a shipped name or a file; None for random ones."""
    stem: str | None = None
    """Converted MoveNet file that initialises trunk and joint maps, instead of ``init``;
    ``${NAME:-default}`` is read from the environment."""

    @property
    def config(self) -> NetworkConfig:
        return preset_config(self.preset, **self.changes)


class DataSpec(_Part):
    """The training, validation and calibration data."""

    train: dict[str, SourceSpec] = Field(min_length=1)
    validation: dict[str, SourceSpec] = Field(default_factory=dict)
    calibration: dict[str, SourceSpec] = Field(default_factory=dict)
    """People on whom the confidence is calibrated after the last step; not for training."""


class LossSpec(_Part):
    """Weights and width of :class:`poseact.losses.PoseCriterion`, and the weight of the actions."""

    weights: dict[str, float] = Field(default_factory=dict)
    sigma: float = 1.0
    action: float = Field(default=1.0, gt=0)
    """Weight of :class:`poseact.losses.ActionCriterion` relative to the pose losses."""

    def build(
        self, learn: Sequence[str] = ("pose",), calibrated: Skeleton | None = None
    ) -> MultitaskCriterion:
        """The criterion of some tasks; ``calibrated`` is the ``skeleton`` of ``PoseCriterion``."""
        return MultitaskCriterion(
            PoseCriterion(self.weights, self.sigma, calibrated)
            if {"pose", "confidence"} & set(learn)
            else None,
            ActionCriterion() if "action" in learn else None,
            self.action,
        )


class OptimiserSpec(_Part):
    """Optimiser settings."""

    name: Literal["muon", "adamw", "rmsprop", "sgd"] = "muon"
    """The papers use ``rmsprop`` with Keras' settings for poses, and ``sgd`` with Nesterov's
    momentum for actions; ``muon`` is :class:`poseact.training.muon.Muon`."""
    lr: float = Field(default=2e-3, gt=0)
    """Learning rate; for ``muon``, that of the weights which Adam updates."""
    stem_lr: float | None = Field(default=None, gt=0)
    """Learning rate of the pretrained part of a pyramid stem, with ``adamw``; None for ``lr``."""
    frozen_stages: int = Field(default=0, ge=0)
    """Number of frozen stages of a pyramid stem's backbone, from the first convolution on. Their
    features are general, and a step then takes two thirds of the time."""
    matrix_lr: float = Field(default=0.02, gt=0)
    """Learning rate of the matrices, with ``muon``."""
    momentum: float = Field(default=0.98, ge=0, lt=1)
    """Momentum of ``sgd``, as in the paper."""
    weight_decay: float = Field(default=0.02, ge=0)
    """Weight decay of convolution kernels; none with ``rmsprop`` and ``sgd``, as in the papers."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    ema: float | None = Field(default=0.999, gt=0, lt=1)
    """Decay of the moving average of the weights, which is scored and saved; None for no average.
    The decay is smaller at the start, when the weights are still random."""


class ScheduleSpec(_Part):
    """Learning rate schedule."""

    name: Literal["cosine", "steps"] = "cosine"
    warm_up: int = Field(default=300, ge=0)
    """Steps of linear warm-up."""
    floor: float = Field(default=0.01, ge=0, le=1)
    """Final share of the learning rate of the cosine."""
    milestones: tuple[float, ...] = (80 / 120, 100 / 120)
    """Shares of the run at which ``steps`` reduces the rate; on MPII the authors use epochs 80 and
    100 of 120."""
    factor: float = Field(default=0.2, gt=0, lt=1)
    """Factor on the rate at each milestone."""


Task = Literal["pose", "action", "confidence"]


class Recipe(_Part):
    """A training run of the pose model, of the action model, or of both.

    Two runs of the same recipe on the same machine give the same weights.
    """

    name: str = Field(pattern=r"^\w[\w.-]*$", max_length=100)
    """Name of the weights: letters, digits, dots, dashes."""
    licence: str
    """Licence of the weights, which follows from those of the data."""
    terms: dict[str, str] = Field(default_factory=dict)
    """Each data set with its licence terms, for the header of the weights."""
    network: NetworkSpec
    data: DataSpec
    learn: tuple[Task, ...] = Field(default=("pose",), min_length=1)
    """``pose``: train stem and pose model with the pose losses. ``action``: train the action model
    on clips with actions. ``confidence``: train only the probability that a joint is correct, which
    ``pose`` includes, of a network with a pyramid stem. Without ``pose`` all else is frozen.
    """
    turns: tuple[tuple[str, ...], ...] = ()
    """Groups of training sets with alternating batches, as the authors of SPNet alternate between
    poses and actions; by default every batch has rows of all sets."""
    augment: AugmentRanges = Field(default_factory=AugmentRanges)
    loss: LossSpec = Field(default_factory=LossSpec)
    optimiser: OptimiserSpec = Field(default_factory=OptimiserSpec)
    schedule: ScheduleSpec = Field(default_factory=ScheduleSpec)
    steps: int = Field(gt=0)
    """Number of optimiser steps."""
    batch: int = Field(default=32, gt=0, le=_MOST)
    """Rows per step and process, each a clip or ``clip_length`` stills."""
    accumulate: int = Field(default=1, gt=0, le=_MOST)
    """Batches per step."""
    clip_length: int = Field(default=1, gt=0, le=_MOST)
    """T, frames per row."""
    sizes: tuple[tuple[float, Annotated[int, Field(le=_MOST)]], ...] = ()
    """Crop sides in px with the share of the run from which they are used, such as
    ``[[0, 96], [0.6, 128]]``; by default that of the network throughout."""
    validate_every: int = Field(default=1000, gt=0)
    """Steps between two validations."""
    checkpoint_minutes: float = Field(default=3.0, gt=0)
    """Time between two checkpoints."""
    seed: int = Field(default=0, ge=0, le=_MOST_SEED)

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        _ = self.network.config, self.loss.build(), self.rows
        self._check_actions()
        starts = [start for start, _ in self.sizes]
        if self.sizes and (starts[0] != 0 or starts != sorted(starts) or starts[-1] >= 1):
            raise PoseActError(
                f"sizes: {self.sizes} was given; give increasing shares, the first 0 and "
                "the last below 1."
            )
        if any(size < 2 * MAP_STRIDE for _, size in self.sizes):
            raise PoseActError(f"sizes: {self.sizes} was given; give at least {2 * MAP_STRIDE} px.")
        return self

    def _check_actions(self) -> None:
        if "action" not in self.learn:
            return
        if not self.network.config.labels:
            raise PoseActError(
                f"learn: {', '.join(self.learn)} was given, but the network {self.network.preset} "
                "has no labels; set labels under network.changes, or learn poses only."
            )
        if not any(spec.reads_videos for spec in self.train.values()):
            raise PoseActError(
                "learn: action was given, but no training set has clips with actions; give an "
                "action data set with clips: true."
            )
        for turn in self.turns if "pose" not in self.learn else ():
            if not any(self.train[name].reads_videos for name in turn):
                raise PoseActError(
                    f"turns: {turn} has no clips with actions, and nothing else is learned; "
                    "leave it out."
                )

    @property
    def skeleton(self) -> Skeleton:
        return self.network.config.skeleton

    @property
    def image_size(self) -> int:
        """Side of the crops in evaluation, in px."""
        return self.network.config.image_size

    @property
    def train(self) -> dict[str, SourceSpec]:
        return self.data.train

    @property
    def validation(self) -> dict[str, SourceSpec]:
        return self.data.validation

    @property
    def rows(self) -> tuple[dict[str, int], ...]:
        """Rows of each training set per batch, for each of the turns.

        Raises:
            PoseActError: The turns name another training set, or not all of them.
        """
        turns = self.turns or (tuple(self.train),)
        if {name for turn in turns for name in turn} != set(self.train) or not all(turns):
            raise PoseActError(
                f"turns: {self.turns} was given; name each of {', '.join(self.train)} in a turn."
            )
        return tuple(
            rows_of({name: self.train[name].ratio for name in turn}, self.batch) for turn in turns
        )

    def size_at(self, step: int) -> int:
        """Side of the training crops at a step, in px."""
        size = self.image_size
        for start, value in self.sizes:
            if step >= start * self.steps:
                size = value
        return size


def load_recipe(path: str | Path) -> Recipe:
    """Load the recipe of a YAML file, the last one if it has stages; see :func:`load_stages`."""
    return load_stages(path)[-1]


def load_stages(path: str | Path, changes: Mapping[str, Any] | None = None) -> list[Recipe]:
    """Load all stages of a YAML file, each of which starts from the weights of the one before.

    A file without ``stages:`` has one. ``stages:`` maps names to fields, which override those of
    the file; the name of the stage is appended to that of the recipe.

    Args:
        path: The file.
        changes: New values of fields by path, such as ``network.changes.num_blocks``, in the recipe
            and in all stages that have the first field of the path; in a single stage as
            ``stages.NAME.FIELD``.

    Raises:
        PoseActError: The file is missing or no YAML, or a field is missing, unknown or wrong.
    """
    path = Path(path)
    with one_sentence(f"The recipe {path} cannot be read ({{error}}); give a YAML file."):
        refuse_device(path)
        content = parse_yaml(path.read_text("utf-8"))
    if not isinstance(content, dict):
        raise PoseActError(f"The recipe {path} has no fields; see the recipes that are shipped.")
    stages = content.pop("stages", None) or {}
    if (
        not isinstance(stages, dict)
        or len(stages) > _MOST_STAGES
        or not all(isinstance(one, dict) for one in stages.values())
    ):
        raise PoseActError(
            f"The recipe {path} has invalid stages; write stages: and below it the name of each "
            f"stage with its fields, at most {_MOST_STAGES} of them."
        )
    for place, value in (changes or {}).items():
        for fields, within in _places(content, stages, place):
            _set(fields, within, value)
    if not stages:
        return [_validated(path, content)]
    return [
        _validated(path, content | fields | {"name": f"{content.get('name')}-{name}"})
        for name, fields in stages.items()
    ]


def _places(
    content: dict[str, Any], stages: dict[str, dict[str, Any]], place: str
) -> list[tuple[dict[str, Any], str]]:
    """The mappings in which a change is made, and its path there."""
    first, _, rest = place.partition(".")
    if first == "stages":
        name, _, within = rest.partition(".")
        if name not in stages or not within:
            raise PoseActError(
                f"{place} cannot be set; give stages.NAME.FIELD, with one of these names: "
                f"{', '.join(stages) or 'none, as the recipe has no stages'}."
            )
        return [(stages[name], within)]
    named = [fields for fields in (content, *stages.values()) if first in fields]
    return [(fields, place) for fields in named or [content]]


def _set(fields: dict[str, Any], place: str, value: Any) -> None:
    """Set a field by its path, such as ``network.changes.frames``."""
    *parents, last = place.split(".")
    for parent in parents:
        # A copy, since YAML aliases share one object.
        fields[parent] = dict(found) if isinstance(found := fields.get(parent, {}), dict) else found
        fields = fields[parent]
        if not isinstance(fields, dict):
            raise PoseActError(
                f"{place} cannot be set, because {parent} has no fields; correct the name."
            )
    fields[last] = value


def _validated(path: Path, content: dict[str, Any]) -> Recipe:
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
