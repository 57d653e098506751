"""Commands that predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import TaskID

from poseact._utils.errors import PoseActError
from poseact.cli.app import INTERRUPTED, Rate, app, make_console, make_progress
from poseact.cli.explained import explained_by, given
from poseact.cli.options import (
    DeviceOption,
    PeopleOption,
    PrecisionOption,
    RuntimeOption,
    people_of,
)

if TYPE_CHECKING:
    from poseact.inference.distributed import DistributedReport
    from poseact.inference.predict import PredictReport, Step

# The first failures that are printed; the index has all.
_FAILED_SHOWN = 10


@app.command(
    "predict",
    cls=explained_by(
        "poseact.inference.predict.predict", "poseact.inference.distributed.predict_distributed"
    ),
)
def predict_command(
    source: Path,
    out: Path = Path("poseact-out"),
    weights: str | None = None,
    boxes: Path | None = None,
    num_blocks: int | None = None,
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    people: PeopleOption = "all",
    draw: Annotated[
        bool | None,
        typer.Option(help="Write drawn pictures and videos; the default, except with ray."),
    ] = None,
    side_view: bool = False,
    smooth: bool = True,
    fast: bool = False,
    extra: Annotated[
        Literal["coco"] | None,
        typer.Option("--format", help="coco: write results.coco.json too, for pycocotools."),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="ray uses many processes or machines and does not draw."),
    ] = "local",
    workers: int | None = None,
    cpus_per_worker: int | None = None,
    gpus_per_worker: float | None = None,
) -> None:
    """Predict poses in photos and videos, and actions if the weights recognise any."""
    shared = given(weights=weights, boxes=boxes, num_blocks=num_blocks, device=device)
    shared |= given(runtime=runtime, precision=precision, people=people_of(people))
    on_ray = given(
        workers=workers, cpus_per_worker=cpus_per_worker, gpus_per_worker=gpus_per_worker
    )
    if engine == "ray":
        if draw or side_view or extra or fast:
            raise PoseActError(
                "The engine ray writes tables only, no drawings, no COCO file and no fast poses; "
                "leave out --draw, --side-view, --format and --fast."
            )
        finish_distributed(predict_on_ray(source, out, **shared, **on_ray))
        return
    if on_ray:
        option = next(iter(on_ray)).replace("_", "-")
        raise PoseActError(f"--{option} was given without --engine ray; add it, or leave it out.")

    from poseact.inference.predict import predict

    with Job() as job:
        report = predict(
            *(source, out),
            **shared,
            draw=draw is not False,
            side_view=side_view,
            smooth=smooth,
            coco=extra == "coco",
            fast=fast,
            on_step=job.on_step,
        )
    finish(report)


def predict_on_ray(source: Path, out: Path, **options: Any) -> DistributedReport:
    """Predict a collection on Ray, with a progress bar."""
    from poseact.inference.distributed import predict_distributed

    with make_progress(Rate()) as progress:
        task = progress.add_task("files", total=None, unit="files/s")
        return predict_distributed(
            source,
            out,
            **options,
            on_file=lambda done, total: progress.update(task, completed=done, total=total),
        )


@app.command("demo", cls=explained_by("poseact.inference.predict.demo"))
def demo_command(out: Path = Path("poseact-demo")) -> None:
    """Predict poses in the short clip that ships with the package, offline."""
    from poseact.inference.predict import demo

    with Job() as job:
        report = demo(out, on_step=job.on_step)
    finish(report)


class Job:
    """Progress of a prediction: frames of the current video, and files if there are several."""

    def __init__(self) -> None:
        self._progress = make_progress(Rate())
        self._files: TaskID | None = None
        self._frames: TaskID | None = None
        self._path: Path | None = None
        self._stage = ""

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._progress.stop()

    def on_step(self, step: Step) -> None:
        if self._path is None:
            self._progress.start()
            if step.files > 1:
                self._files = self._progress.add_task("files", total=step.files, unit="files/s")
        if (step.path, step.stage) != (self._path, self._stage):
            self._path, self._stage = step.path, step.stage
            if self._frames is not None:
                self._progress.remove_task(self._frames)
            # A folder of photos has a bar of files only.
            single = step.frames == 1 and step.files > 1
            name = step.path.name if step.stage == "read" else f"drawing {step.path.name}"
            self._frames = None if single else self._progress.add_task(name, total=None, unit="fps")
        if self._frames is not None:
            self._progress.update(self._frames, completed=step.frame, total=step.frames)
        if self._files is not None and step.stage == "read":
            share = step.frame / step.frames if step.frames else 0
            self._progress.update(self._files, completed=step.file - 1 + min(share, 1))


def finish(report: PredictReport) -> None:
    """Print where the results are; the exit code shows failures and interruption."""
    console = make_console()
    for path, reason in report.failed.items():
        make_console(stderr=True).print(f"skipped {path}: {reason}", style="yellow")
    frames = "1 frame" if report.frames == 1 else f"{report.frames} frames"
    console.print(f"{frames}; table: {report.parquet}, {report.json}")
    if report.coco is not None:
        console.print(f"COCO file: {report.coco}")
    if report.actions is not None:
        console.print(f"Actions: {report.actions}, {report.segments}")
    if report.drawn:
        one = len(report.drawn) == 1
        where = report.drawn[0] if one else f"{len(report.drawn)} files in {report.out}"
        console.print(f"Drawn: {where}")
    if report.interrupted:
        console.print("Interrupted: the results contain the frames processed so far.")
        raise typer.Exit(INTERRUPTED)
    if report.failed:
        raise typer.Exit(2)


def finish_distributed(report: DistributedReport) -> None:
    """Print where the results of a distributed prediction are, as :func:`finish` does."""
    console = make_console()
    for path, reason in list(report.failed.items())[:_FAILED_SHOWN]:
        make_console(stderr=True).print(f"failed {path}: {reason}", style="yellow")
    console.print(
        f"{report.done} of {report.files} files done ({report.before} by earlier runs), "
        f"{len(report.failed)} failed, {report.frames} frames; index: {report.index}"
    )
    if report.interrupted:
        console.print("Interrupted: the finished files are kept; run the same command to resume.")
        raise typer.Exit(INTERRUPTED)
    # If the folder was removed meanwhile, files that did not fail are not done either.
    if report.done < report.files:
        raise typer.Exit(2)
