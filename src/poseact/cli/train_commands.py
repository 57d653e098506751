"""Commands that train and evaluate networks."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import TaskID, TextColumn

from poseact.cli.app import INTERRUPTED, Bars, app, make_console, make_progress, named_table
from poseact.cli.explained import explained_by, given
from poseact.cli.options import (
    DeviceOption,
    PeopleOption,
    PrecisionOption,
    RuntimeChoice,
    RuntimeOption,
    parsed_changes,
    people_of,
)

if TYPE_CHECKING:
    from poseact.training.run_record import Progress
    from poseact.training.train_pose import TrainReport


_EXPLAINED = explained_by(
    "poseact.training.train_pose.train", "poseact.training.train_pose.Machine"
)


@app.command("train", cls=_EXPLAINED)
@app.command("train-pose", help="The same as train.", cls=_EXPLAINED)
def train_command(
    recipe: Path,
    out: Annotated[Path | None, typer.Option(help="Folder of the run (default runs/NAME).")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE of the recipe, such as network.changes.frames=8."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume")] = False,
    devices: int | None = None,
    nodes: int | None = None,
    workers: int | None = None,
    precision: Literal["auto", "32", "bf16", "16"] | None = None,
    compile_: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the network; by default on GPUs."),
    ] = None,
    log_every: int | None = None,
    sync_norm: Annotated[bool, typer.Option("--sync-norm")] = False,
) -> None:
    """Train poses, actions or both on the data sets of a recipe, one stage after the other."""
    from poseact.recipe import load_stages
    from poseact.training.train_pose import Machine, train

    fields = parsed_changes(changes or ())
    stages = load_stages(recipe, fields)
    out = out or Path("runs") / recipe.stem
    machine = Machine(
        **given(devices=devices, nodes=nodes, workers=workers, precision=precision),
        **given(compile=compile_, log_every=log_every, sync_norm=sync_norm),
    )
    with TrainingBar() as progress:
        reports = train(
            recipe,
            out,
            changes=fields,
            resume=resume,
            machine=machine,
            on_progress=progress.update,
            on_stage=lambda stage: progress.begin(stage.name, stage.steps),
        )
    if not reports[-1].primary:
        return
    console = make_console()
    for report in reports:
        print_training_report(report)
    if not reports[-1].finished:
        again = ["poseact", "train", str(recipe), "--out", str(out), "--resume"]
        again += [part for change in changes or () for part in ("--set", change)]
        console.print(
            f"Interrupted after {reports[-1].steps} of {stages[len(reports) - 1].steps} steps of "
            f"{stages[len(reports) - 1].name}; resume with:\n{shlex.join(again)}"
        )
        raise typer.Exit(INTERRUPTED)


def print_training_report(report: TrainReport) -> None:
    """Print the scores of a run or a stage, and where its results are."""
    console = make_console()
    for name, scores in report.scores.items():
        values = ", ".join(f"{metric} {value:.4g}" for metric, value in scores.items())
        console.print(f"{name}: {values}")
    if report.unreadable:
        console.print(f"{report.unreadable} pictures could not be read and were left out.")
    console.print(f"Weights: {report.weights}")
    console.print(f"Curve: {report.out / 'curve.png'}, table: {report.out / 'log.csv'}")


@app.command("eval-pose", cls=explained_by("poseact.evaluation.eval_pose.eval_pose"))
def eval_pose_command(
    weights: str,
    recipe: Path,
    out: Path = Path("poseact-eval"),
    flip: Annotated[bool, typer.Option("--flip")] = False,
    crops: Annotated[int, typer.Option(help="Number of crops to average over: 1 or 5.")] = 1,
    num_blocks: int | None = None,
    data: list[str] | None = None,
    device: DeviceOption = None,
    runtime: Annotated[
        RuntimeChoice,
        typer.Option(help="Runtime of the pose network; auto takes the fastest one installed."),
    ] = None,
    precision: PrecisionOption = None,
) -> None:
    """Score weights on the validation data of a recipe."""
    from poseact.evaluation.eval_pose import eval_pose
    from poseact.evaluation.pose_report import joint_rows, mean_rows, part_rows

    with Bars() as bars:
        report = eval_pose(
            weights,
            recipe,
            out,
            flip=flip,
            crops=crops,
            num_blocks=num_blocks,
            data=data or (),
            device=device,
            **given(runtime=runtime, precision=precision),
            on_step=bars.update,
        )
    console = make_console()
    for name, scores in report.scores.items():
        for title, rows in (
            (name, mean_rows(scores)),
            ("per joint", joint_rows(scores)),
            ("per part", part_rows(scores)),
        ):
            if rows:
                console.print(named_table(title, rows))
        console.print(f"Protocol: {scores.protocol}.\n")
        for sample, reason in scores.unreadable.items():
            make_console(stderr=True).print(f"left out {sample}: {reason}", style="yellow")
    console.print(f"Scores: {report.json}; {len(report.pictures)} pictures in {report.out}")


@app.command("eval-people", cls=explained_by("poseact.evaluation.eval_people.eval_people"))
def eval_people_command(
    folder: Path,
    labels: str = "annotations.json",
    images: str = "images",
    weights: str | None = None,
    looks: Annotated[list[int] | None, typer.Option("--look")] = None,
    close_looks: Annotated[list[float] | None, typer.Option("--close-look")] = None,
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Score person detection in whole photos, and the poses of the people found."""
    from poseact.evaluation.eval_people import PeopleScores, eval_people

    with Bars() as bars:
        report = eval_people(
            folder,
            labels,
            **given(images=images, weights=weights, looks=looks, device=device),
            **given(close_looks=close_looks, runtime=runtime, precision=precision),
            on_photo=lambda done, total: bars.update("photos", done, total),
        )
    rows = [("score", *PeopleScores._fields)]
    for name, scores in report.scores.items():
        rows.append((name, *(f"{v:.3f}" if isinstance(v, float) else str(v) for v in scores)))
    # One row per score: there are more scores than sets of photos.
    console = make_console()
    console.print(named_table("people", list(zip(*rows, strict=True))))
    console.print(f"Person detection took {1000 * report.detector_s:.0f} ms of CPU time per photo.")


@app.command("eval-tracking", cls=explained_by("poseact.evaluation.eval_tracking.eval_tracking"))
def eval_tracking_command(
    folder: Path,
    weights: str | None = None,
    people: PeopleOption = "all",
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    fast: bool = False,
) -> None:
    """Score whether people in videos keep their ids."""
    from poseact.evaluation.eval_tracking import eval_tracking
    from poseact.metrics import TrackScore

    with Bars() as bars:
        scores = eval_tracking(
            folder,
            people=people_of(people),
            **given(weights=weights, device=device, runtime=runtime, precision=precision),
            fast=fast,
            on_video=lambda done, total: bars.update("videos", done, total),
        )
    scores["all"] = TrackScore(*map(sum, zip(*scores.values(), strict=True)))
    rows = [(name, *map(str, score), f"{score.idf1:.3f}") for name, score in scores.items()]
    titles = ("video", *TrackScore._fields, "idf1")
    make_console().print(named_table("ids", [titles, *rows]))


class TrainingBar:
    """Steps of each stage of a training run, with loss, speed and remaining time."""

    def __init__(self) -> None:
        self._bar = make_progress(TextColumn("{task.fields[state]}"))
        self._task: TaskID | None = None

    def __enter__(self) -> TrainingBar:
        # One bar for all processes of this machine.
        if os.environ.get("LOCAL_RANK", "0") == "0":
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, name: str, steps: int) -> None:
        self._task = self._bar.add_task(name, total=steps, state="")

    def update(self, progress: Progress) -> None:
        if self._task is not None:
            self._bar.update(
                self._task,
                completed=progress.step,
                state=f"loss {progress.loss:.3f}  {progress.images_per_second:.1f} images/s",
            )
