"""Options and results of training actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from poseact._utils.errors import PoseActError
from poseact.data.split import check_share
from poseact.evaluation.action_report import ReportFiles
from poseact.evaluation.action_scores import ActionScores
from poseact.recipe import load_recipe
from poseact.training.finetune import FinetunePlan
from poseact.training.heads import HeadRecipe, check_windows


@dataclass(frozen=True)
class TrainPlan:
    """Options of training actions.

    Attributes:
        streams: ``both`` pose and appearance, or ``pose`` alone; by default both
            where there are videos.
        weights: Pose network: name of shipped weights or a checkpoint file. For sequences without
            video: the weights that produced them, if any, which are then used for new videos.
        kind: Format of sequences without video; guessed by default.
        frames: T of the windows; None for the default of
            :func:`~poseact.training.heads.train_heads`, as for the next two.
        fps: Frame rate of the windows.
        epochs: Number of epochs of each training.
        seed: Random seed for the split and training.
        test: Share of the recordings held out for the test.
        curve: Also train on fewer clips, for the learning curve.
        instant: Recognise actions by prototypes, without training; one clip per action is enough.
            All clips are used, unless the data name test clips; each is scored by the prototypes of
            other recordings.
        pictures: Whether the report shows pictures of the videos; else skeletons alone.
        recipe: Further settings of the head trainings.
        finetune: Recipe of pose data; if given, the whole network is finally trained end to end,
            see :func:`~poseact.training.finetune.finetune`.
        finetune_plan: How; None for the defaults.
    """

    streams: Literal["both", "pose"] | None = None
    weights: str | Path | None = None
    kind: str | None = None
    frames: int | None = None
    fps: float | None = None
    epochs: int | None = None
    seed: int = 0
    test: float = 0.3
    curve: bool = False
    instant: bool = False
    pictures: bool = True
    recipe: HeadRecipe | None = None
    finetune: Path | None = None
    finetune_plan: FinetunePlan | None = None

    def check(self) -> None:
        """Refuse an invalid plan before any work is done.

        Raises:
            PoseActError: A number is out of range, two options contradict each other, or the recipe
                cannot be read.
        """
        check_windows(**self.windows())
        check_share(self.test)
        if not 0 <= self.seed < 2**63:
            raise PoseActError(f"The seed {self.seed} was given; give one from 0 to 2**63 - 1.")
        if self.instant and self.epochs is not None:
            raise PoseActError(
                f"epochs={self.epochs} was given with instant, which trains nothing; leave out one "
                "of the two."
            )
        if self.finetune is not None:
            load_recipe(self.finetune)

    def windows(self) -> dict[str, Any]:
        """Those of frames, fps and epochs that are not None."""
        given = {"frames": self.frames, "fps": self.fps, "epochs": self.epochs}
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class ActionTraining:
    """Results of a training and their files.

    Attributes:
        out: The folder.
        weights: ``actions.safetensors``.
        split: ``split.csv``: which clip was in which part.
        files: The report; None if the run was interrupted before it.
        scores: Of the test clips, by protocol.
        notes: On clips that were left out or look strange.
        interrupted: Whether the run was interrupted; the same call resumes it.
    """

    out: Path
    weights: Path
    split: Path
    files: ReportFiles | None = None
    scores: dict[str, ActionScores] = field(default_factory=dict[str, ActionScores])
    notes: list[str] = field(default_factory=list[str])
    interrupted: bool = False
