"""Commands that look at data and make some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from poseact.cli.app import INTERRUPTED, Rate, app, make_console, make_progress


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
    from poseact.training.inspect_recipe import inspect_recipe

    console = make_console()
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
    part: Annotated[
        Literal["train", "validation"], typer.Option(help="They share no body or motion.")
    ] = "train",
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

    with make_progress(Rate()) as progress:
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
    make_console().print(
        f"{report.items} pictures ({report.made} new) in {report.shards} shards: {report.out}; "
        f"description: {report.index}"
    )
    if report.interrupted:
        make_console().print("Interrupted: the finished shards are kept; the same command goes on.")
        raise typer.Exit(INTERRUPTED)
