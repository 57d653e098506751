"""Data sources of a recipe: reader, folder and options."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact.data.backgrounds import read_backgrounds
from poseact.data.blazepose import read_blazepose
from poseact.data.coco import read_coco
from poseact.data.lsp import read_lsp, read_lsp_extended
from poseact.data.mmpose_files import read_human36m, read_mpi_inf_3dhp
from poseact.data.mpii import read_mpii
from poseact.data.official.human36m_official import (
    read_human36m_official,
    read_human36m_videopose3d,
)
from poseact.data.official.mpi_inf_3dhp_official import read_mpi_inf_3dhp_official
from poseact.data.sample import PoseSample
from poseact.data.synthetic import read_synthetic
from poseact.data.video import LabelledVideo
from poseact.data.video_sources import STILL_ADAPTERS, VIDEO_ADAPTERS
from poseact.skeleton import MIDPOINTS, PA16, Skeleton

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Reader(Protocol):
    """Reads a data set into samples of a skeleton; a reader's keywords are its options."""

    def __call__(self, root: Path, skeleton: Skeleton = PA16) -> list[PoseSample]: ...


ADAPTERS: dict[str, Reader] = {
    "lsp": read_lsp,
    "lsp-extended": read_lsp_extended,
    "mpii": read_mpii,
    "coco": read_coco,
    "human36m": read_human36m,
    "human36m-official": read_human36m_official,
    "human36m-videopose3d": read_human36m_videopose3d,
    "mpi-inf-3dhp": read_mpi_inf_3dhp,
    "mpi-inf-3dhp-official": read_mpi_inf_3dhp_official,
    "blazepose": read_blazepose,
    "backgrounds": read_backgrounds,
    "synthetic": read_synthetic,
    **STILL_ADAPTERS,
}


def expand_variables(text: str) -> str:
    """Replace ``${NAME}`` and ``${NAME:-default}`` by values of the environment.

    Raises:
        PoseActError: A variable without a default is not set.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name) or default
        if found is None:
            raise PoseActError(
                f"{text} uses the environment variable {name}, which is not set; "
                f"set it, or write ${{{name}:-a default}}."
            )
        return found

    return _VARIABLE.sub(value, text)


class SourceSpec(BaseModel):
    """One data set of a recipe.

    Raises:
        PoseActError: There is no such adapter, it has no such option, or an environment variable
            is not set.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    adapter: str
    """One of ``ADAPTERS``."""
    root: str
    """Folder of the data set; ``${NAME}`` and ``${NAME:-default}`` come from the environment."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword options of the reader."""
    ratio: float = Field(default=1.0, gt=0)
    """Share of a mixed batch, relative to the other sources."""
    min_visible: int = Field(default=0, ge=0)
    """People with fewer visible joints are left out; pelvis and thorax, which most data sets lack
    and which are then made of others, do not count."""
    leave_out: tuple[str, ...] = ()
    """Names of samples that are left out."""
    share: tuple[float, float] = (0.0, 1.0)
    """Part of the pictures, by a hash of their names, such as ``[0, 0.9]`` to learn from and
    ``[0.9, 1]`` to calibrate on. Names that are alike up to a last number of one or two digits, as
    of crops of one photo, stay together."""
    clips: bool = False
    """Frames of one video are read together as clips. An action data set then gives random windows
    of its videos with their actions, the others runs of frames that follow each other."""
    strides: tuple[PositiveInt, ...] = Field(default=(1,), min_length=1)
    """A window of an action data set takes every s-th frame, with s drawn from these at random; for
    scoring, the middle one."""

    @property
    def _unreadable(self) -> str:
        return (
            f"{self.folder} cannot be read as {self.adapter} ({{error}}); check the files and the "
            "adapter."
        )

    @property
    def reads_videos(self) -> bool:
        return self.clips and self.adapter in VIDEO_ADAPTERS

    @property
    def stride(self) -> int:
        """The stride of the windows that are scored."""
        return sorted(self.strides)[len(self.strides) // 2]

    @property
    def folder(self) -> Path:
        return Path(expand_variables(self.root))

    @field_validator("root")
    @classmethod
    def _known_variables(cls, root: str) -> str:
        expand_variables(root)
        return root

    @field_validator("adapter")
    @classmethod
    def _known_adapter(cls, adapter: str) -> str:
        if adapter not in ADAPTERS:
            raise PoseActError(
                f"adapter: {adapter} was given, which does not exist; "
                f"choose one of {', '.join(sorted(ADAPTERS))}."
            )
        return adapter

    @field_validator("share")
    @classmethod
    def _within_the_whole(cls, share: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= share[0] < share[1] <= 1:
            raise PoseActError(f"share: {share} was given; give two increasing numbers, 0 to 1.")
        return share

    @model_validator(mode="after")
    def _known_options(self) -> SourceSpec:
        _checked_options(ADAPTERS[self.adapter], self.adapter, self.options)
        if self.reads_videos:
            _checked_options(VIDEO_ADAPTERS[self.adapter], self.adapter, self.options)
        return self

    def read_videos(self, skeleton: Skeleton = PA16) -> list[LabelledVideo]:
        """Videos of an action data set, converted to the skeleton.

        Raises:
            PoseActError: The data set has no videos, its files are missing or wrong, or no video is
                left.
        """
        if not self.reads_videos:
            raise PoseActError(
                f"The adapter {self.adapter} does not read videos here; give one of "
                f"{', '.join(sorted(VIDEO_ADAPTERS))} with clips: true."
            )
        reader = VIDEO_ADAPTERS[self.adapter]
        options = _checked_options(reader, self.adapter, self.options)
        with one_sentence(self._unreadable):
            videos = reader(self.folder, skeleton, **options)
        chosen = [video for video in videos if video.name not in self.leave_out]
        if not chosen:
            raise PoseActError(
                f"{self.folder} has {len(videos)} videos, but none is left; check the folder and "
                "the options."
            )
        return chosen

    def read(self, skeleton: Skeleton = PA16) -> list[PoseSample]:
        """Samples in the order of the files, converted to the skeleton.

        Raises:
            PoseActError: The label files are missing or wrong, or no person is left.
        """
        reader = ADAPTERS[self.adapter]
        options = _checked_options(reader, self.adapter, self.options)
        with one_sentence(self._unreadable):
            samples = reader(self.folder, skeleton, **options)
        unknown = set(self.leave_out) - {sample.name for sample in samples}
        if unknown:
            raise PoseActError(
                f"leave_out: {', '.join(sorted(unknown))} was given, but {self.folder} has no such "
                "sample; correct the name."
            )
        counted = np.array([joint not in MIDPOINTS for joint in skeleton.joints])
        chosen = [
            sample
            for sample in samples
            if (sample.visible & sample.valid & counted).sum() >= self.min_visible
            and sample.name not in self.leave_out
            and self.share[0] <= _place_of(sample.name) < self.share[1]
        ]
        if not chosen:
            raise PoseActError(
                f"{self.folder} has {len(samples)} people, but none is left with "
                f"{self.min_visible} or more visible joints of {skeleton.name}; "
                "check the folder, the options and min_visible."
            )
        return chosen


def _place_of(name: str) -> float:
    """A number in [0, 1) from a hash of a picture's name without its crop number."""
    stem = re.sub(r"_\d{1,2}$", "", Path(name).stem)
    return int.from_bytes(hashlib.md5(stem.encode(), usedforsecurity=False).digest()[:6]) / 2**48


def _checked_options(reader: Any, adapter: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options converted to the types of the reader's keywords, such as lists to tuples."""
    parameters = inspect.signature(reader, eval_str=True).parameters.values()
    keywords = {
        parameter.name: (parameter.annotation, parameter.default)
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    model = create_model("Options", __config__=ConfigDict(extra="forbid"), **keywords)  # pyright: ignore
    try:
        values = model.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise PoseActError(
            f"options of {adapter}: {name} was given as {first['input']!r} ({first['msg']}); "
            f"its options are {', '.join(keywords) or 'none'}."
        ) from error
    return {name: getattr(values, name) for name in options}
