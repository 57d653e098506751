"""Commands that train and evaluate action recognisers."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from poseact._utils.errors import PoseActError
from poseact.cli.app import INTERRUPTED, Bars, app, make_console, named_table
from poseact.cli.explained import explained_by, given
from poseact.cli.options import DeviceOption, PrecisionOption, RuntimeOption, reading_options

SHOWN_NOTES = 10


@app.command(
    "train-actions",
    cls=explained_by(
        "poseact.clips.train_actions.train_actions", "poseact.clips.train_plan.TrainPlan"
    ),
)
def train_actions_command(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder of videos for each action, a folder with clips.csv, or pose sequences."
        ),
    ],
    out: Path = Path("poseact-actions"),
    streams: Literal["both", "pose"] | None = None,
    weights: str | None = None,
    kind: str | None = None,
    frames: Annotated[int | None, typer.Option(help="Number of frames per window.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate of the windows.")] = None,
    epochs: int | None = None,
    seed: int | None = None,
    test: float | None = None,
    curve: bool = False,
    instant: Annotated[bool, typer.Option("--instant")] = False,
    finetune: Annotated[
        Path | None,
        typer.Option(help="Recipe with pose data; finally trains the whole network end to end."),
    ] = None,
    cache: Path | None = None,
    workers: int | None = None,
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Train an action recogniser on clips of your own."""
    from poseact.clips.train_actions import TrainPlan, train_actions
    from poseact.evaluation.action_report import accuracy_rows

    plan = TrainPlan(
        **given(streams=streams, weights=weights, kind=kind, frames=frames, fps=fps),
        **given(epochs=epochs, seed=seed, test=test, finetune=finetune),
        **given(curve=curve, instant=instant),
    )
    with Bars() as bars:
        report = train_actions(
            source,
            out,
            plan,
            **given(cache=cache, workers=workers, device=device),
            **given(runtime=runtime, precision=precision),
            on_stage=bars.update,
        )
    console = make_console()
    print_notes(report.notes)
    if report.files is None:
        end_interrupted()
    console.print(named_table("Clips not used for training", accuracy_rows(report.scores)))
    console.print(f"Weights: {report.weights}")
    console.print(f"Report: {report.files.html}, {report.files.markdown}, {report.files.json}")
    console.print(f"Split into training and test: {report.split}")


@app.command(
    "eval-actions",
    cls=explained_by(
        "poseact.clips.eval_actions.eval_actions",
        "poseact.evaluation.action_evaluation.ActionProtocol",
        "poseact.clips.extract.ReadingOptions",
    ),
)
def eval_actions_command(
    weights: Annotated[str, typer.Argument(help="File that 'poseact train-actions' wrote.")],
    source: Annotated[Path, typer.Argument(help="Clips, as for train-actions.")],
    out: Path = Path("poseact-eval"),
    crop: Annotated[
        Literal["multi", "centre"],
        typer.Option(help="multi: windows over the whole clip; centre: one in its middle."),
    ] = "multi",
    flip: Annotated[bool, typer.Option("--flip")] = False,
    split: Path | None = None,
    part: Literal["train", "test"] | None = None,
    group: Annotated[
        list[str] | None, typer.Option(help="NAME=ACTION,ACTION,…, to score separately too.")
    ] = None,
    background: Literal["keep", "blank"] | None = None,
    kind: str | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Evaluate an action recogniser on labelled clips."""
    from poseact.clips.eval_actions import eval_actions
    from poseact.evaluation.action_evaluation import ActionProtocol
    from poseact.evaluation.action_report import accuracy_rows

    options = given(kind=kind, split=split, part=part, background=background, cache=cache)
    reading = reading_options(workers, device, runtime, precision)
    with Bars() as bars:
        report = eval_actions(
            *(weights, source, out),
            protocol=ActionProtocol(crop, flip),
            groups=read_groups(group or ()),
            **options,
            reading=reading,
            on_stage=bars.update,
        )
    console = make_console()
    print_notes(report.notes)
    if report.scores is None or report.files is None:
        end_interrupted()
    tables = {"all": report.scores, **(report.groups or {})}
    console.print(named_table("Accuracy", accuracy_rows(tables)))
    console.print(f"Protocol: {report.scores.protocol}.")
    console.print(f"Report: {report.files.html}, {report.files.markdown}, {report.files.json}")


@app.command(
    "eval-unknown",
    cls=explained_by(
        "poseact.clips.eval_unknown.eval_unknown",
        "poseact.clips.train_plan.TrainPlan",
        "poseact.clips.extract.ReadingOptions",
    ),
)
def eval_unknown_command(
    source: Annotated[Path, typer.Argument(help="Clips, as for train-actions.")],
    out: Path = Path("poseact-unknown"),
    streams: Literal["both", "pose"] | None = None,
    weights: str | None = None,
    kind: str | None = None,
    seed: int | None = None,
    test: float | None = None,
    instant: Annotated[bool, typer.Option("--instant")] = False,
    cache: Path | None = None,
    workers: int | None = None,
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Leave out each action in turn and score how well it is recognised as unknown."""
    from poseact.clips.eval_unknown import eval_unknown
    from poseact.clips.train_plan import TrainPlan
    from poseact.evaluation.action_report import percent

    plan = TrainPlan(
        **given(streams=streams, weights=weights, kind=kind, seed=seed, test=test, instant=instant)
    )
    reading = reading_options(workers, device, runtime, precision)
    with Bars() as bars:
        report = eval_unknown(
            *(source, out, plan),
            **given(cache=cache),
            reading=reading,
            on_stage=bars.update,
        )
    console = make_console()
    print_notes(report.notes)
    if report.interrupted:
        end_interrupted()
    titles = ("left out", "AUROC", "passing, %", "named, known, %", "named, left out, %")
    rows = [
        (
            one.action,
            f"{one.auroc:.3f}",
            *map(percent, (one.passing, one.known_named, one.unknown_named)),
        )
        for one in report.actions
    ]
    console.print(named_table("Windows of actions that were left out", [titles, *rows]))
    console.print(f"Scores: {report.json}")


def read_groups(options: Sequence[str]) -> dict[str, list[str]]:
    """Groups of actions from the command line.

    Raises:
        PoseActError: One is not of the form ``NAME=ACTION,ACTION``.
    """
    groups: dict[str, list[str]] = {}
    for option in options:
        name, _, labels = option.partition("=")
        if not name or not labels:
            raise PoseActError(f"The group {option!r} was given; give NAME=ACTION,ACTION,….")
        groups[name] = labels.split(",")
    return groups


def print_notes(notes: Sequence[str]) -> None:
    """Print the first notes on clips; the report lists them all."""
    console = make_console(stderr=True)
    for note in notes[:SHOWN_NOTES]:
        console.print(note, style="yellow")
    if len(notes) > SHOWN_NOTES:
        console.print(f"… and {len(notes) - SHOWN_NOTES} more notes.", style="yellow")


def end_interrupted() -> NoReturn:
    """Print how to resume this run, and end it.

    Raises:
        Exit: Always.
    """
    again = shlex.join(["poseact", *sys.argv[1:]])
    make_console().print(f"Interrupted: finished steps are kept; resume with:\n{again}")
    raise typer.Exit(INTERRUPTED)
