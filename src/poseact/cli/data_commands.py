"""Commands that inspect training data and make synthetic data."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from poseact._utils.errors import PoseActError
from poseact.cli.app import INTERRUPTED, Rate, app, make_console, make_progress
from poseact.cli.explained import explained_by, given


@app.command("inspect", cls=explained_by("poseact.training.inspect_recipe.inspect_recipe"))
def inspect_command(
    recipe: Path,
    out: Path = Path("poseact-inspect"),
    count: int = 48,
    read_images: bool = True,
) -> None:
    """Draw augmented training samples of a recipe and list suspicious labels."""
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


@app.command(
    "make-synthetic",
    cls=explained_by(
        "poseact.synthetic.make.make_synthetic", "poseact.synthetic.crossing.make_scenes"
    ),
)
def make_synthetic_command(
    out: Path,
    count: int | None = None,
    scenes: Annotated[
        int | None,
        typer.Option(
            help="Make this many videos of people crossing, with ids, instead of pictures."
        ),
    ] = None,
    seed: int | None = None,
    part: Literal["train", "validation"] | None = None,
    size: int | None = None,
    shard_size: int | None = None,
    clip_length: int | None = None,
    backgrounds: Path | None = None,
    workers: int | None = None,
) -> None:
    """Render synthetic people with exact joints, depths and cameras."""
    from poseact.synthetic.crossing import make_scenes
    from poseact.synthetic.make import make_synthetic

    if (count is None) == (scenes is None):
        raise PoseActError(
            "Both or neither of --count and --scenes were given; give exactly one of them."
        )
    if count is None:
        with make_progress(Rate()) as progress:
            task = progress.add_task("frames", total=None, unit="fps")
            videos = make_scenes(
                *(out, scenes or 0),
                **given(seed=seed),
                on_frame=lambda done, of: progress.update(task, completed=done, total=of),
            )
        make_console().print(f"{len(videos)} videos with the boxes and ids of their people: {out}")
        return
    options = given(seed=seed, part=part, size=size, shard_size=shard_size, workers=workers)
    options |= given(clip_length=clip_length, backgrounds=backgrounds)
    with make_progress(Rate()) as progress:
        task = progress.add_task("pictures", total=count, unit="pictures/s")
        report = make_synthetic(
            out,
            count=count,
            **options,
            on_images=lambda done, total: progress.update(task, completed=done, total=total),
        )
    make_console().print(
        f"{report.items} pictures ({report.made} new) in {report.shards} shards: {report.out}; "
        f"description: {report.index}"
    )
    if report.interrupted:
        make_console().print(
            "Interrupted: the finished shards are kept; run the same command to resume."
        )
        raise typer.Exit(INTERRUPTED)
