"""The command line: every command is a Python function of the same name and arguments."""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path
from types import FrameType
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
    from poseact.inference.run import PredictReport

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
    """Frames per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} fps" if speed else "– fps")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
    )


@app.command("predict")
def predict_command(
    source: Annotated[Path, typer.Argument(help="Photo, video or folder of both.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("poseact-out"),
    weights: Annotated[
        str | None, typer.Option(help="Shipped name or .safetensors file; default: shipped tiny.")
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
            on_frame=job.on_frame,
        )
    _finish(report)


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("poseact-demo"),
) -> None:
    """Predict poses in the short clip that ships with the package, offline."""
    from poseact.inference.run import demo

    with _Job() as job:
        report = demo(out, on_frame=job.on_frame)
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
    console = Console()
    console.print(f"{file.name}: {network.card.provenance['import']}", soft_wrap=True)
    console.print(f"Checkpoint: {out}", soft_wrap=True)


@weights_app.command("list")
def weights_list_command() -> None:
    """List the shipped weights and the authors' published files."""
    from poseact.weights.catalogue import PUBLISHED
    from poseact.weights.checkpoint import describe, shipped_weights

    console = Console()
    shipped = Table("name", "preset", "licence", title="Shipped with the package")
    for name in shipped_weights():
        header = describe(name)
        shipped.add_row(name, header["preset"], header["licence"])
    console.print(shipped)
    published = Table(
        "preset", "file", "release", "md5", "licence", title="Published by the authors"
    )
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

    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task(preset, total=None)
        path = fetch(
            preset,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    console.print(f"Verified file: {path}", soft_wrap=True)
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
    """Progress bar of a prediction, one line per file."""

    def __init__(self) -> None:
        self._progress = _progress(Console(stderr=True))
        self._tasks: dict[Path, TaskID] = {}

    def __enter__(self) -> _Job:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tasks:
            self._progress.stop()

    def on_frame(self, path: Path, done: int, total: int | None) -> None:
        for earlier in [p for p in self._tasks if p != path]:
            self._progress.remove_task(self._tasks.pop(earlier))
        self._progress.start()
        if path not in self._tasks:
            self._tasks[path] = self._progress.add_task(path.name, total=total)
        self._progress.update(self._tasks[path], completed=done, total=total)


def _finish(report: PredictReport) -> None:
    console = Console()
    for path, reason in report.failed.items():
        Console(stderr=True).print(f"skipped {path}: {reason}", style="yellow", soft_wrap=True)
    console.print(f"{report.frames} frames; table: {report.parquet}, {report.json}", soft_wrap=True)
    if report.drawn:
        where = (
            report.drawn[0]
            if len(report.drawn) == 1
            else f"{len(report.drawn)} files in {report.out}"
        )
        console.print(f"Drawn: {where}", soft_wrap=True)
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
        handlers=[RichHandler(console=Console(stderr=True), show_time=False, show_path=False)],
    )
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except PoseActError as error:
        Console(stderr=True).print(f"error: {error}", style="red", soft_wrap=True, markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
