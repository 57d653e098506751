"""The command line: every command is a Python function of the same name and arguments."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from poseact.errors import PoseActError

if TYPE_CHECKING:
    from poseact.inference.run import PredictReport, Step
    from poseact.training.callbacks import Progress as TrainingProgress

app = typer.Typer(
    help="2D/3D body pose and action recognition from one multitask network.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
weights_app = typer.Typer(help="Weights that ship or were published.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")

INTERRUPTED = 130


class _Rate(ProgressColumn):
    """Frames or files per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {task.fields['unit']}" if speed else f"– {task.fields['unit']}")


def _console(stderr: bool = False) -> Console:
    """A console that prints file names as they are."""
    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True)


@app.command("predict")
def predict_command(
    source: Annotated[
        Path, typer.Argument(help="Photo, video, or folder of both with its subfolders.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("poseact-out"),
    weights: Annotated[
        str | None, typer.Option(help="Name of shipped weights (default tiny-research) or file.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="CSV: source, frame, x0, y0, x1, y1 in px.")
    ] = None,
    num_blocks: Annotated[
        int | None, typer.Option(help="Stop after this many prediction blocks.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …")] = None,
    draw: Annotated[bool, typer.Option(help="Write drawn pictures and videos.")] = True,
    side_view: Annotated[bool, typer.Option(help="Add a side view (3D weights).")] = False,
) -> None:
    """Predict poses in a photo, a folder or a video."""
    from poseact.inference.predictor import DEFAULT_WEIGHTS
    from poseact.inference.run import predict

    with _Job() as job:
        report = predict(
            source,
            out,
            weights=weights or DEFAULT_WEIGHTS,
            boxes=boxes,
            num_blocks=num_blocks,
            device=device,
            draw=draw,
            side_view=side_view,
            on_step=job.on_step,
        )
    _finish(report)


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("poseact-demo"),
) -> None:
    """Predict poses in the short clip that ships with the package, offline."""
    from poseact.inference.run import demo

    with _Job() as job:
        report = demo(out, on_step=job.on_step)
    _finish(report)


@app.command("eval-pose")
def eval_pose_command(
    weights: Annotated[str, typer.Argument(help="Name of shipped weights or file.")],
    recipe: Annotated[Path, typer.Argument(help="Recipe (.yaml) whose validation data to score.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("poseact-eval"),
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirrored crop.")] = False,
    crops: Annotated[int, typer.Option(help="Average over 1 or 5 crops.")] = 1,
    num_blocks: Annotated[
        int | None, typer.Option(help="Stop after this many prediction blocks.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="Validation data to score (default all).")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …")] = None,
) -> None:
    """Score weights on the validation data of a recipe."""
    from poseact.evaluation.report import joint_rows, mean_rows, part_rows
    from poseact.evaluation.run import eval_pose

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TextColumn("ETA"), TimeRemainingColumn(), console=_console(stderr=True)
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def on_step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done)

        report = eval_pose(
            weights,
            recipe,
            out,
            flip=flip,
            crops=crops,
            num_blocks=num_blocks,
            data=data or (),
            device=device,
            on_step=on_step,
        )
    console = _console()
    for name, scores in report.scores.items():
        for title, rows in (
            (name, mean_rows(scores)),
            ("per joint", joint_rows(scores)),
            ("per part", part_rows(scores)),
        ):
            if rows:
                console.print(_table(title, rows))
        console.print(f"Protocol: {scores.protocol}.\n")
        for sample, reason in scores.unreadable.items():
            _console(stderr=True).print(f"left out {sample}: {reason}", style="yellow")
    console.print(f"Scores: {report.json}; {len(report.pictures)} pictures in {report.out}")


@app.command("train-pose")
def train_pose_command(
    recipe: Annotated[Path, typer.Argument(help="YAML file, see recipes/.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run (default runs/NAME).")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from its checkpoint.")] = False,
    devices: Annotated[
        int | None, typer.Option(help="Processes here: one per GPU, or several on the CPU.")
    ] = None,
    nodes: Annotated[int, typer.Option(help="Machines, each started by torchrun or SLURM.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that prepare batches.")] = 1,
    precision: Annotated[
        Literal["auto", "32", "bf16", "16"], typer.Option(help="auto is bf16 on GPUs that have it.")
    ] = "auto",
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Default: on GPUs.")
    ] = None,
    log_every: Annotated[int, typer.Option(help="Steps between two rows of the log.")] = 50,
) -> None:
    """Train the pose model on the data sets of a recipe."""
    from poseact.training.recipe import load_recipe
    from poseact.training.train import Machine, train_pose

    plan = load_recipe(recipe)
    machine = Machine(devices, nodes, workers, precision, compiled, log_every)
    with _TrainingProgress(plan.steps) as progress:
        report = train_pose(
            plan,
            out or Path("runs") / plan.name,
            resume=resume,
            machine=machine,
            on_progress=progress.update,
        )
    console = _console()
    for name, scores in report.scores.items():
        values = ", ".join(f"{metric} {value:.4g}" for metric, value in scores.items())
        console.print(f"{name}: {values}")
    if report.unreadable:
        console.print(f"{report.unreadable} pictures could not be read and were left out.")
    console.print(f"Weights: {report.weights}")
    console.print(f"Curve: {report.out / 'curve.png'}, table: {report.out / 'log.csv'}")
    if not report.finished:
        console.print(
            f"Interrupted after {report.steps} of {plan.steps} steps; go on with:\n"
            f"poseact train-pose {recipe} --out {report.out} --resume"
        )
        raise typer.Exit(INTERRUPTED)


@app.command("inspect")
def inspect_command(
    recipe: Annotated[Path, typer.Argument(help="Recipe (.yaml) whose data to look at.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("poseact-inspect"),
    count: Annotated[int, typer.Option(help="Augmented samples in the picture.")] = 48,
    read_images: Annotated[
        bool, typer.Option(help="Decode every picture; without, labels alone are checked.")
    ] = True,
) -> None:
    """Draw augmented training samples of a recipe and list faults of the labels."""
    from poseact.data.inspect import inspect_recipe

    console = _console()
    with console.status("") as status:
        report = inspect_recipe(
            recipe, out, count=count, read_images=read_images, on_source=status.update
        )
    sources = Table("data", "people", "joints", "faults", "folder", title="Data of the recipe")
    faults = Table("data", "sample", "kind", "reason", title="First faults of each kind")
    for source in report.sources:
        kinds = ", ".join(f"{count} {kind}" for kind, count in source.counts.items()) or "none"
        folder = str(source.root)
        sources.add_row(source.name, str(source.samples), f"{source.joints:.1f}", kinds, folder)
        for fault in source.examples:
            faults.add_row(source.name, fault.sample, fault.kind, fault.reason)
    console.print(sources)
    if faults.rows:
        console.print(faults)
    console.print(f"Augmented samples: {report.grid}")
    console.print(f"All faults: {report.faults_csv}")


@app.command("make-synthetic")
def make_synthetic_command(
    out: Annotated[Path, typer.Argument(help="Folder for the data set, new or to be completed.")],
    count: Annotated[int, typer.Option(help="Pictures.")],
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 0,
    part: Annotated[str, typer.Option(help="train or validation.")] = "train",
    size: Annotated[int, typer.Option(help="Longest side of the pictures in px.")] = 224,
    shard_size: Annotated[int, typer.Option(help="Pictures per file.")] = 500,
    clip_length: Annotated[int, typer.Option(help="Frames of one motion in a row.")] = 1,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photos without people, put behind the person.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
) -> None:
    """Render people in all poses with exact joints, depths and cameras."""
    from poseact.synthetic.make import make_synthetic

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate())
    console = _console(stderr=True)
    with Progress(*columns, TextColumn("ETA"), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("pictures", total=count, unit="pictures/s")
        report = make_synthetic(
            out,
            count=count,
            seed=seed,
            part=part,
            size=size,
            shard_size=shard_size,
            clip_length=clip_length,
            backgrounds=backgrounds,
            workers=workers,
            on_images=lambda done, total: progress.update(task, completed=done, total=total),
        )
    _console().print(
        f"{report.images} pictures ({report.made} new) in {report.shards} shards: {report.out}; "
        f"description: {report.index}"
    )
    if report.interrupted:
        _console().print("Interrupted: the finished shards are kept; the same command goes on.")
        raise typer.Exit(INTERRUPTED)


@app.command("import-keras")
def import_keras_command(
    file: Annotated[Path, typer.Argument(help="The authors' Keras .h5 file.")],
    preset: Annotated[str, typer.Option(help="Network that it belongs to.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint (.safetensors) to write.")],
) -> None:
    """Turn one of the authors' Keras files into a PoseAct checkpoint."""
    from poseact.weights.checkpoint import save
    from poseact.weights.keras_import import import_keras

    network = import_keras(file, preset)
    save(network, out)
    console = _console()
    console.print(f"{file.name}: {network.card.provenance['import']}")
    console.print(f"Checkpoint: {out}")


@weights_app.command("list")
def weights_list_command() -> None:
    """List the shipped weights and the authors' published files."""
    from poseact.weights.catalogue import PUBLISHED
    from poseact.weights.checkpoint import describe, shipped_weights

    console = _console()
    shipped = Table("name", "preset", "licence", title="Shipped with the package")
    for name in shipped_weights():
        header = describe(name)
        shipped.add_row(name, header["preset"], header["licence"])
    console.print(shipped)
    published = Table(title="Published by the authors")
    for column in ("preset", "file", "release", "md5", "licence"):
        published.add_column(column, overflow="fold")
    for file in PUBLISHED:
        where = file.release or f"by hand from {file.url}"
        published.add_row(file.preset, file.file_name, where, file.md5 or "–", file.licence)
    console.print(published)


@weights_app.command("fetch")
def weights_fetch_command(
    preset: Annotated[str, typer.Argument(help="Preset of the catalogue.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also import it into this .safetensors file.")
    ] = None,
) -> None:
    """Download and verify the authors' file of a preset."""
    from poseact.weights.catalogue import fetch

    console = _console()
    with Progress(console=console) as progress:
        task = progress.add_task(preset, total=None)
        path = fetch(
            preset,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    console.print(f"Verified file: {path}")
    if out is not None:
        import_keras_command(path, preset, out)


@weights_app.command("show")
def weights_show_command(
    weights: Annotated[str, typer.Argument(help="Shipped name or .safetensors file.")],
) -> None:
    """Print the header of a checkpoint: preset, skeleton, provenance, licence."""
    from poseact.weights.checkpoint import describe

    Console().print_json(json.dumps(describe(weights)))


class _TrainingProgress:
    """Steps of a training run, with its loss, speed and the time that is left."""

    def __init__(self, steps: int) -> None:
        self._bar = Progress(
            TextColumn("step"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[speed]:.1f} images/s  ETA"),
            TimeRemainingColumn(),
            console=_console(stderr=True),
        )
        self._task = self._bar.add_task("", total=steps, loss=float("nan"), speed=0.0)

    def __enter__(self) -> _TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, progress: TrainingProgress) -> None:
        self._bar.update(
            self._task,
            completed=progress.step,
            loss=progress.loss,
            speed=progress.images_per_second,
        )


class _Job:
    """Progress of a prediction: frames of the video in hand, and files where there are several."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=_console(stderr=True),
        )
        self._files: TaskID | None = None
        self._frames: TaskID | None = None
        self._path: Path | None = None

    def __enter__(self) -> _Job:
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._progress.stop()

    def on_step(self, step: Step) -> None:
        if self._path is None:
            self._progress.start()
            if step.files > 1:
                self._files = self._progress.add_task("files", total=step.files, unit="files/s")
        if step.path != self._path:
            self._path = step.path
            if self._frames is not None:
                self._progress.remove_task(self._frames)
            # A folder of photos is told by its files alone.
            single = step.frames == 1 and step.files > 1
            self._frames = (
                None if single else self._progress.add_task(step.path.name, total=None, unit="fps")
            )
        if self._frames is not None:
            self._progress.update(self._frames, completed=step.frame, total=step.frames)
        if self._files is not None:
            share = step.frame / step.frames if step.frames else 0
            self._progress.update(self._files, completed=step.file - 1 + min(share, 1))


def _table(title: str, rows: list[tuple[str, ...]]) -> Table:
    """A table of a heading and rows, numbers to the right."""
    heading, *body = rows
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(heading):
        table.add_column(column, justify="right" if number else "left")
    for row in body:
        table.add_row(*row, style="bold" if row[0] == "all" else None)
    return table


def _finish(report: PredictReport) -> None:
    console = _console()
    for path, reason in report.failed.items():
        _console(stderr=True).print(f"skipped {path}: {reason}", style="yellow")
    console.print(f"{report.frames} frames; table: {report.parquet}, {report.json}")
    if report.drawn:
        one = len(report.drawn) == 1
        where = report.drawn[0] if one else f"{len(report.drawn)} files in {report.out}"
        console.print(f"Drawn: {where}")
    if report.interrupted:
        console.print("Interrupted: the results hold what was done until then.")
        raise typer.Exit(INTERRUPTED)
    if report.failed:
        raise typer.Exit(2)


def main() -> None:
    """Entry point: errors of the user's making become one sentence and exit code 2."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=_console(stderr=True), show_time=False, show_path=False)],
    )
    try:
        app()
    except PoseActError as error:
        _console(stderr=True).print(f"error: {error}", style="red")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
