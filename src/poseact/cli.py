"""The command line: every command is a Python function of the same name and arguments."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
