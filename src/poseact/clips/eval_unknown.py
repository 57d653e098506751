"""How reliably motions outside the training count as unknown: each action left out in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact.actions.action_names import BACKGROUND
from poseact.actions.answers import UNKNOWN, WindowAnswer, answer_windows, name_answer
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.action_data import OnStage, check_parts, copies_note
from poseact.clips.copies import join_recordings
from poseact.clips.extract import ReadingOptions
from poseact.clips.head_workflow import FOLDS, HeadWorkflow, OnRow, Stopped, started
from poseact.clips.train_plan import TrainPlan
from poseact.data.split import split_by_recording
from poseact.evaluation.calibration import KEPT
from poseact.models.sequence import ActionNetwork


@dataclass(frozen=True)
class LeftOut:
    """How well an action that was left out of the training is separated from the others.

    Attributes:
        action: Its label; ``mean`` for the mean over the actions.
        auroc: Area under the ROC curve of familiarity, windows of the test clips of the known
            actions against all windows of this one.
        passing: Share of its windows that count as familiar at the limit that 95 % of the known
            windows pass.
        known_named: Share of the known windows that are not "unknown", with the limits as fitted.
        unknown_named: The same of its windows, which all should be.
    """

    action: str
    auroc: float
    passing: float
    known_named: float
    unknown_named: float


@dataclass
class UnknownEvaluation:
    """Result of :func:`eval_unknown`.

    Attributes:
        json: File with these figures.
        actions: One after the other, then the mean.
        notes: On clips that were left out or look strange.
        interrupted: Whether the run was interrupted; the same call resumes it.
    """

    json: Path
    actions: list[LeftOut] = field(default_factory=list[LeftOut])
    notes: Sequence[str] = ()
    interrupted: bool = False


def eval_unknown(
    source: str | Path,
    out: str | Path = "poseact-unknown",
    plan: TrainPlan | None = None,
    *,
    cache: str | Path | None = None,
    reading: ReadingOptions | None = None,
    on_stage: OnStage | None = None,
    on_row: OnRow | None = None,
) -> UnknownEvaluation:
    """Leave out each action in turn and score how well it is recognised as unknown.

    Heads are trained and calibrated on the training clips of all other actions. Windows of the
    other actions' test clips are known, those of the action that was left out unknown.

    Args:
        source: Clips, as of ``train_actions``.
        out: Folder for the results; an interrupted run in it is resumed.
        plan: Settings of the trainings; None for the defaults.
        cache: Folder for the features of videos; by default ``cache`` in ``out``.
        reading: How videos are read; None for the defaults.
        on_stage: Called with the progress of every stage.
        on_row: Called with the name of a training of heads and what each of its epochs measured.

    Raises:
        PoseActError: The clips cannot be read or show fewer than three actions, or the results
            cannot be written.
    """
    how = (plan or TrainPlan(), reading or ReadingOptions(), on_stage, on_row)
    result = UnknownEvaluation(Path(out) / "unknown.json")
    with started(_Workflow, source, out, *how, cache=cache) as run:
        result.notes = run.notes
        try:
            result.actions = run.all()
        except Stopped:
            result.interrupted = True
            return result
    figures = {"actions": [asdict(one) for one in result.actions], "seed": run.plan.seed}
    write_json(result.json, figures | {"notes": list(result.notes)})
    return result


class _Workflow(HeadWorkflow):
    def all(self) -> list[LeftOut]:
        data = self.read()
        self.notes += [*data.notes, *copies_note(data)]
        sequences = join_recordings(data.sequences, data.copies)
        actions = sorted({str(s.label) for s in sequences} - {BACKGROUND})
        if len(actions) < 3:
            raise PoseActError(
                f"The clips show {len(actions)} actions besides {BACKGROUND}; give at least 3, of "
                "which 2 are learned while one is left out."
            )
        scored: list[LeftOut] = []
        for number, action in enumerate(actions):
            self.on_stage("actions left out", number, len(actions))
            scored.append(self.left_out(number, action, sequences))
        self.on_stage("actions left out", len(actions), len(actions))
        return [*scored, _mean(scored)]

    def left_out(self, number: int, action: str, sequences: Sequence[PoseSequence]) -> LeftOut:
        others = [s for s in sequences if s.label != action]
        train, test = split_by_recording(others, self.plan.test, self.plan.seed)
        check_parts(train, test)
        trained = self.train(f"left out {number}", train, FOLDS)
        if self.calibration(trained) is None:
            raise PoseActError(
                f"Without {action}, no action has two training recordings, so nothing would be "
                "called unknown; give more recordings of each action."
            )
        known = _windows(trained.network, [s for s in test if s.label != BACKGROUND])
        unknown = _windows(trained.network, [s for s in sequences if s.label == action])
        return score_unknown(action, trained.network, known, unknown)


def score_unknown(
    action: str,
    network: ActionNetwork,
    known: Sequence[WindowAnswer],
    unknown: Sequence[WindowAnswer],
) -> LeftOut:
    """Compare a network's answers to windows of known actions and of one that it has not learned.

    Args:
        action: The one.
        network: Gives the limits of "unknown".
        known: Answers to windows of known actions, at least one.
        unknown: Answers to windows of the other, at least one.
    """
    familiar, strange = ([w.familiarity for w in windows] for windows in (known, unknown))
    limit = np.quantile(familiar, 1 - KEPT)
    pairs = len(familiar) * len(strange)
    return LeftOut(
        action,
        float(mannwhitneyu(familiar, strange).statistic / pairs),
        float((np.array(strange) >= limit).mean()),
        _named(network, known),
        _named(network, unknown),
    )


def _named(network: ActionNetwork, windows: Sequence[WindowAnswer]) -> float:
    names = [name_answer(network, w.probabilities, w.familiarity).label for w in windows]
    return float(np.mean([name != UNKNOWN for name in names]))


def _windows(network: ActionNetwork, clips: Sequence[PoseSequence]) -> list[WindowAnswer]:
    return [window for clip in clips for window in answer_windows(network, clip)]


def _mean(scored: Sequence[LeftOut]) -> LeftOut:
    rows = [list(asdict(one).values())[1:] for one in scored]
    return LeftOut("mean", *np.mean(rows, 0).tolist())
