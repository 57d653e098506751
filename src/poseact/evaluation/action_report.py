"""The report of action recognition: scores, protocols and the worst clips."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact._utils.report import Picture, Section, write_report
from poseact.actions.action_names import BACKGROUND
from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.action_figures import CurvePoint, draw_confusion, draw_curve, filmstrip
from poseact.evaluation.action_scores import ActionScores, wilson_interval
from poseact.evaluation.calibration import Calibration
from poseact.media import write_image

WORST = 6
"""Number of clips shown as filmstrips."""


@dataclass(frozen=True)
class Measured:
    """Content of a report.

    Attributes:
        title: Title of the report.
        facts: Facts about the data, the network and its training.
        scores: Scores of the same clips by protocol; details are shown of the first.
        clips: The scored clips, in the order of the scores.
        videos: Videos of the clips by name; other clips are drawn without pictures.
        train_counts: Number of training clips by action.
        calibration: Calibration of the network, if known.
        unknown_below: Probability below which a motion is called unknown, if any.
        curve: Learning curve.
        groups: Groups of actions by name, each also scored separately.
        notes: On clips that were left out or look strange.
    """

    title: str
    facts: Mapping[str, str]
    scores: Mapping[str, ActionScores]
    clips: Sequence[PoseSequence]
    videos: Mapping[str, Path] = field(default_factory=dict[str, Path])
    train_counts: Mapping[str, int] = field(default_factory=dict[str, int])
    calibration: Calibration | None = None
    unknown_below: float | None = None
    curve: Sequence[CurvePoint] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    notes: Sequence[str] = ()

    @property
    def main(self) -> ActionScores:
        return next(iter(self.scores.values()))


@dataclass(frozen=True)
class ReportFiles:
    """Files of a report.

    Attributes:
        markdown: ``report.md``, with the pictures beside it.
        html: ``report.html``, the same in one file.
        json: ``scores.json``: all numbers.
    """

    markdown: Path
    html: Path
    json: Path


def write_action_report(out: Path, found: Measured) -> ReportFiles:
    """Write a report as Markdown with pictures, as one HTML file, and as JSON.

    Raises:
        PoseActError: A file cannot be written.
    """
    sections = [
        _summary(found),
        _accuracies(found),
        *([_groups(found)] if found.groups else []),
        _classes(found, out),
        *([_curve(found, out)] if found.curve else []),
        *([_calibration(found)] if found.unknown_below is not None else []),
        _worst(found, out),
        *([Section("Notes on the clips", list(found.notes))] if found.notes else []),
        Section("Protocols", [f"{s.protocol}." for s in found.scores.values()]),
    ]
    report, scores = write_report(out, found.title, sections), out / "scores.json"
    write_json(scores, _as_json(found))
    return ReportFiles(report.markdown, report.html, scores)


def percent(share: float) -> str:
    """A fraction as text in per cent with one decimal."""
    return f"{100 * share:.1f}"


def accuracy_rows(scores: Mapping[str, ActionScores]) -> list[tuple[str, ...]]:
    """Table of all streams and protocols."""
    rows: list[tuple[str, ...]] = [
        ("stream", "protocol", "accuracy, %", "95 % interval", "mean of classes, %", "ECE, %")
    ]
    for name, scored in scores.items():
        for stream in scored.streams:
            found = scored.stream(stream)
            rows.append(
                (
                    stream,
                    name,
                    percent(found.accuracy),
                    interval(found.interval),
                    percent(found.balanced_accuracy),
                    percent(found.ece),
                )
            )
    return rows


def interval(ends: tuple[float, float]) -> str:
    """An interval of fractions as text in per cent."""
    return f"{percent(ends[0])} – {percent(ends[1])}"


def _summary(found: Measured) -> Section:
    scores = found.main
    fused = scores.stream()
    text = (
        f"{percent(fused.accuracy)} % of {len(scores.clips)} clips that were not trained on are "
        f"classified correctly (95 % interval {interval(fused.interval)} %). Always predicting the "
        f"most frequent action would give {percent(scores.majority)} %."
    )
    return Section("Result", [text], [("", ""), *found.facts.items()])


def _accuracies(found: Measured) -> Section:
    return Section(
        "Accuracy",
        [
            "The interval is Wilson's, which treats clips as independent. ECE is the expected "
            "calibration error over 15 bins."
        ],
        accuracy_rows(found.scores),
    )


def _groups(found: Measured) -> Section:
    rows = [("group", "clips", *found.main.streams)]
    for name, labels in found.groups.items():
        part = found.main.only(labels)
        shares = (percent(part.stream(s).accuracy) for s in part.streams)
        rows.append((name, str(len(part.clips)), *shares))
    text = "Accuracy, %, on the clips of the group; predictions may be any action."
    return Section("Groups of actions", [text], rows)


def _classes(found: Measured, out: Path) -> Section:
    scores = found.main
    picture = out / "confusion.png"
    draw_confusion(picture, scores.stream(), scores.labels)
    streams = {name: scores.stream(name).per_class for name in scores.streams}
    tested = scores.stream().confusion.sum(1)
    trained = found.train_counts
    heading = ("action", *(("training clips",) if trained else ()), "scored clips", *streams)
    rows: list[tuple[str, ...]] = [heading]
    for label, count in zip(scores.labels, tested, strict=True):
        of_training = (str(trained.get(label, 0)),) if trained else ()
        shares = (percent(s[label]) if label in s else "–" for s in streams.values())
        rows.append((label, *of_training, str(count), *shares))
    caption = "Confusion matrix of the fused prediction, in clips."
    return Section("By action", ["Accuracy in %."], rows, [Picture(picture, caption)])


def _curve(found: Measured, out: Path) -> Section:
    picture = out / "learning_curve.png"
    draw_curve(picture, found.curve, found.main.majority)
    streams = found.curve[0].accuracy
    rows = [("clips per action, at most", "clips in total", *streams)]
    for point in found.curve:
        shares = (percent(middle) for middle, _, _ in point.accuracy.values())
        rows.append((str(point.per_class), str(point.clips), *shares))
    text = (
        "Accuracy, %, on the same test clips after training on a random part of the clips. If the "
        "curve still rises at its end, more clips will help."
    )
    return Section("Learning curve", [text], rows, [Picture(picture, "Learning curve.")])


def _calibration(found: Measured) -> Section:
    threshold, scores = found.unknown_below or 0.0, found.main
    text = [
        f"A motion is called unknown if its best action has a probability below {threshold:.3f}, "
        "or if it is unlike the training clips. The shares below count the probability alone."
    ]
    if (learnt := found.calibration) is not None:
        text.append(
            f"The temperature {learnt.temperature:.3f} and this threshold were fitted on "
            f"{learnt.clips} held-out training clips, so that {percent(learnt.kept)} % of the "
            "windows of known actions are named. On these windows the expected calibration error "
            f"was {percent(learnt.ece_before)} % before and {percent(learnt.ece_after)} % after "
            f"calibration, and the mean negative log-probability {learnt.nll_before:.3f} and "
            f"{learnt.nll_after:.3f}."
        )
    answers = scores.log_probabilities["fused"]
    named = np.exp(answers.max(1)) >= threshold
    background = [k for k, label in enumerate(scores.labels) if label == BACKGROUND]
    named &= ~np.isin(answers.argmax(1), background)
    known = ~np.isin(scores.targets, background)
    text += _rejections(named, known, answers.argmax(1) == scores.targets)
    return Section("Unknown motion", text)


def _rejections(named: np.ndarray, known: np.ndarray, right: np.ndarray) -> list[str]:
    text: list[str] = []
    if known.any():
        kept = named & known
        text.append(
            f"Of the {known.sum()} scored clips of known actions {kept.sum()} are named "
            f"({percent(kept.sum() / known.sum())} %), {(kept & right).sum()} of them correctly."
        )
    if not known.all():
        count, unknown = int((~known).sum()), int((~named & ~known).sum())
        text.append(
            f"Of the {count} scored clips of other motion {unknown} are called unknown "
            f"({percent(unknown / count)} %, 95 % interval "
            f"{interval(wilson_interval(unknown, count))} %)."
        )
    return text


def _worst(found: Measured, out: Path) -> Section:
    scores = found.main
    answers = np.exp(scores.log_probabilities["fused"])
    section = Section(
        "The worst clips",
        ["The clips with the lowest probability of their true action."],
    )
    for place, index in enumerate(scores.worst(WORST), 1):
        clip, best = found.clips[index], int(answers[index].argmax())
        truth = int(scores.targets[index])
        answer = "correct" if best == truth else f"predicted {scores.labels[best]}"
        caption = f"{clip.name}: {scores.labels[truth]} ({answers[index, truth]:.2f}), {answer}" + (
            "" if best == truth else f" ({answers[index, best]:.2f})"
        )
        path = out / "worst" / f"{place}.png"
        try:
            write_image(path, filmstrip(clip, found.videos.get(clip.name)))
        except PoseActError as error:
            # The video may have been moved since its features were extracted.
            section.text.append(f"{caption}. {error}")
        else:
            section.pictures.append(Picture(path, caption))
    return section


def _as_json(found: Measured) -> dict[str, Any]:
    return {
        "title": found.title,
        "version": version("poseact"),
        "facts": dict(found.facts),
        "scores": {name: scores.to_json() for name, scores in found.scores.items()},
        "train_counts": dict(found.train_counts),
        "unknown_below": found.unknown_below,
        "calibration": asdict(found.calibration) if found.calibration else None,
        "curve": [point._asdict() for point in found.curve],
        "groups": {
            name: found.main.only(labels).stream().accuracy for name, labels in found.groups.items()
        },
        "notes": list(found.notes),
    }
