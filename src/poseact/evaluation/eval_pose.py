"""Evaluation of weights on the validation data of a recipe, with its report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from poseact._utils.device import on_device
from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact._utils.report import Picture, Section, write_report
from poseact.data.sample import PoseSample
from poseact.data.sources import SourceSpec
from poseact.evaluation.pose_evaluation import describe_source, describe_testing, predict_samples
from poseact.evaluation.pose_report import (
    COLUMNS,
    joint_rows,
    mean_rows,
    part_rows,
    people_grid,
    write_figure,
)
from poseact.evaluation.pose_results import PosePredictions, PoseScores
from poseact.evaluation.pose_scores import person_errors, score_poses
from poseact.media import write_image
from poseact.media.crop import DEPTH_RANGE_MM
from poseact.models.base import Network
from poseact.models.outputs import Pose, Prediction
from poseact.recipe import load_recipe
from poseact.runtime.interface import DEFAULT_PRECISION
from poseact.runtime.pose_reader import PoseReader, open_pose
from poseact.weights.checkpoint import load

PICTURES = 2 * COLUMNS

OnData = Callable[[str, int, int], None]
"""Called with the name of a data set, the people done and their total."""


@dataclass
class EvalReport:
    """Results of an evaluation and their files.

    Attributes:
        out: The folder.
        json: ``scores.json``: all numbers.
        scores: Scores by data set.
        pictures: Files of figures and pictures.
    """

    out: Path
    json: Path
    scores: dict[str, PoseScores] = field(default_factory=dict[str, PoseScores])
    pictures: list[Path] = field(default_factory=list[Path])


def eval_pose(
    weights: str | Path,
    recipe: str | Path,
    out: str | Path = "poseact-eval",
    *,
    flip: bool = False,
    crops: int = 1,
    num_blocks: int | None = None,
    data: Sequence[str] = (),
    device: str | None = None,
    runtime: str = "torch",
    precision: str = DEFAULT_PRECISION,
    on_step: OnData | None = None,
) -> EvalReport:
    """Score weights on the validation data of a recipe.

    Writes ``scores.json``, ``report.html``, ``report.md`` and for each data set ``NAME.png`` (bars
    per joint and curves), ``NAME-worst.jpg`` and ``NAME-samples.jpg`` (label white, prediction
    coloured).

    Args:
        weights: Name of shipped weights, a fetched preset, or a checkpoint file.
        recipe: A training recipe, whose validation data are scored in the network's skeleton.
        out: Folder for the results.
        flip: Average with the mirrored crop.
        crops: Number of crops to average over, a key of
            ``poseact.evaluation.pose_evaluation.CROP_PLANS``.
        num_blocks: Number of prediction blocks to use.
        data: Names of the validation data to score; by default all.
        device: Device of the network; CUDA by default if available.
        runtime: Runtime of the pose network, see :func:`~poseact.runtime.pose_reader.open_pose`.
        precision: Number format of the pose network, see there.
        on_step: Called after every batch of people.

    Raises:
        PoseActError: Weights, recipe or data cannot be read, more than 1 % of the pictures are
            missing or damaged, or the results cannot be written.
    """
    sources = _chosen(load_recipe(Path(recipe)).validation, data, Path(recipe))
    network = load(weights)
    if (runtime, precision) == ("torch", DEFAULT_PRECISION):
        running: nn.Module = on_device(device, network.to)
    else:
        running = InRuntime(open_pose(weights, num_blocks, device, runtime, precision))
    size = network.config.image_size
    testing: dict[str, Any] = {"flip": flip, "crops": crops, "num_blocks": num_blocks}
    protocol = f"{describe_testing(size, **testing)}; weights {_weights_text(weights, network)}"
    report = EvalReport(Path(out), Path(out) / "scores.json")
    for name, spec in sources.items():
        samples = spec.read(network.config.skeleton)
        step = None if on_step is None else partial(on_step, name)
        predictions = predict_samples(running, samples, size, **testing, on_step=step)
        report.scores[name] = score_poses(
            predictions, samples, data=describe_source(name, spec), testing=protocol
        )
        _write_pictures(report, name, samples, predictions)
    scores = {name: scores.to_json() for name, scores in report.scores.items()}
    facts = {"weights": str(weights), "recipe": str(recipe)}
    facts |= {"options": testing | {"data": list(data)}, "version": version("poseact")}
    write_json(report.json, facts | {"data": scores})
    write_report(report.out, f"Poses of {Path(weights).name}", _sections(report))
    return report


class InRuntime(nn.Module):
    """A pose network in any runtime, called as networks are."""

    def __init__(self, reader: PoseReader) -> None:
        super().__init__()
        self._read = reader

    def forward(self, frames: Tensor, num_blocks: int | None = None) -> Prediction:  # noqa: ARG002 - it runs those that it was started with
        """Poses in ``(N, 1, 3, S, S)``, as :class:`~poseact.Prediction` has them, without maps."""
        crops = ((frames[:, 0].permute(0, 2, 3, 1) + 1) * 127.5).round().to(torch.uint8)
        reading = self._read(crops.numpy())
        joints, confidence = torch.from_numpy(reading.joints), torch.from_numpy(reading.confidence)
        joints = torch.cat((joints[..., :2], joints[..., 2:] / DEPTH_RANGE_MM + 0.5), -1)
        pose = Pose(joints.unsqueeze(1), confidence.unsqueeze(1), frames.new_empty(0))
        return Prediction([pose], {}, frames)


def _sections(report: EvalReport) -> list[Section]:
    sections: list[Section] = []
    for name, scores in report.scores.items():
        pictures = [
            Picture(path, caption)
            for path, caption in _pictures(report.out, name).items()
            if path in report.pictures
        ]
        left_out = [f"Left out {sample}: {why}" for sample, why in scores.unreadable.items()]
        text = [f"Protocol: {scores.protocol}.", *left_out]
        sections.append(Section(name, text, mean_rows(scores), pictures))
        tables = {"joint": joint_rows(scores), "part": part_rows(scores)}
        sections += [
            Section(f"{name} by {part}", [], rows) for part, rows in tables.items() if rows
        ]
    return sections


def _pictures(out: Path, name: str) -> dict[Path, str]:
    return {
        out / f"{name}.png": "Scores by joint, and the share of correct joints over the distance.",
        out / f"{name}-worst.jpg": "The largest errors; labels white, predictions in colour.",
        out / f"{name}-samples.jpg": "Samples of all data; labels white, predictions in colour.",
    }


def _chosen(
    sources: dict[str, SourceSpec], names: Sequence[str], recipe: Path
) -> dict[str, SourceSpec]:
    for name in names:
        if name not in sources:
            raise PoseActError(
                f"{recipe} has no validation data {name!r}; "
                f"choose from {', '.join(sources) or 'none'}."
            )
    chosen = {name: spec for name, spec in sources.items() if not names or name in names}
    if not chosen:
        raise PoseActError(f"{recipe} has no validation data; add some under data: validation.")
    return chosen


def _weights_text(weights: str | Path, network: Network) -> str:
    """Name and origin of the weights, for the protocol."""
    origin: Any = network.card.provenance.get("weights")
    return f"{Path(weights).name} ({origin})" if origin else Path(weights).name


def _write_pictures(
    report: EvalReport, name: str, samples: list[PoseSample], predictions: PosePredictions
) -> None:
    figure = report.out / f"{name}.png"
    write_figure(figure, report.scores[name])
    report.pictures.append(figure)
    errors = person_errors(predictions, samples)
    scored = np.flatnonzero(np.isfinite(errors))
    worst = scored[np.argsort(-errors[scored], kind="stable")][:PICTURES]
    if not len(scored):
        return
    evenly = scored[np.unique(np.linspace(0, len(scored) - 1, PICTURES).astype(int))]
    for kind, chosen in (("worst", worst.tolist()), ("samples", evenly.tolist())):
        captions = [f"{100 * errors[i]:.0f} % off {samples[i].name}" for i in chosen]
        path = report.out / f"{name}-{kind}.jpg"
        write_image(path, people_grid(samples, predictions, chosen, captions))
        report.pictures.append(path)
