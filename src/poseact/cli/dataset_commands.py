"""The group ``poseact data``: checks data sets on disk and packs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from poseact._utils.errors import PoseActError
from poseact.cli.app import INTERRUPTED, Rate, app, make_console, make_progress
from poseact.cli.explained import explained_by, given
from poseact.cli.options import parsed_changes

if TYPE_CHECKING:
    from poseact.data.official.check_data import Count, DataReport

SHOWN = 5
"""Skipped items that are printed."""

group = typer.Typer(
    help="Check data sets on disk, and pack them into shards.", no_args_is_help=True
)
app.add_typer(group, name="data")


@group.command("check", cls=explained_by("poseact.data.official.check_data.check_data"))
def check_data_command(
    name: Annotated[
        str, typer.Argument(help="mpii, human36m, penn-action, ntu, jhmdb or mpi-inf-3dhp.")
    ],
    root: Annotated[Path, typer.Argument(metavar="FOLDER")],
    out: Path = Path("poseact-data-check"),
) -> None:
    """Check which files of a data set are present, and draw nine samples."""
    from poseact.data.official.check_data import REPORT, check_data

    console = make_console()
    with console.status("") as status:
        report = check_data(name, root, out, on_step=status.update)
    _print_report(report)
    if report.picture is not None:
        console.print(f"Samples with their joints: {report.picture}")
    console.print(f"Full report: {out / REPORT}")
    if not report.readable:
        raise typer.Exit(2)


def _print_report(report: DataReport) -> None:
    console = make_console()
    table = Table("", "found", "official", "", title=f"{report.name}: {report.root}")
    for count in report.counts:
        official = " or ".join(f"{number:,}" for number in count.official)
        table.add_row(count.what, f"{count.found:,}", official or "–", _verdict(count))
    console.print(table)
    console.print(f"Official numbers: {report.source}.")
    for remark in report.remarks:
        console.print(remark)
    for problem in report.problems:
        console.print(problem, style="yellow" if report.readable else "red")


def _verdict(count: Count) -> str:
    if not count.found:
        return "missing"
    return {True: "complete", False: "differs", None: ""}[count.complete]


@group.command("pack", cls=explained_by("poseact.data.packed.pack.pack"))
def pack_command(
    adapter: Annotated[str, typer.Argument(help="Reader of the data set, as in recipes.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    out: Path,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the reader, such as subjects=[S9,S11]; may be repeated."),
    ] = None,
    videos: Annotated[
        bool, typer.Option(help="Pack the videos of an action data set, not their frames.")
    ] = False,
    shard_size: int | None = None,
    workers: int | None = None,
) -> None:
    """Pack a data set into tar shards, which read faster from shared storage."""
    from poseact.data.packed.pack import pack
    from poseact.data.sources import SourceSpec

    options = parsed_changes(option or (), "--option", "part=valid or subjects=[S9,S11]")
    source = SourceSpec(adapter=adapter, root=str(folder), options=options, clips=videos)
    if videos and not source.reads_videos:
        raise PoseActError(
            f"--videos was given, but {adapter} reads stills; leave it out, or give an action data "
            "set such as penn-action."
        )
    unit = "videos" if videos else "stills"
    with make_progress(Rate()) as progress:
        task = progress.add_task(unit, total=None, unit=f"{unit}/s")
        report = pack(
            source,
            out,
            **given(shard_size=shard_size, workers=workers),
            on_items=lambda done, total: progress.update(task, completed=done, total=total),
        )
    console = make_console()
    console.print(
        f"{report.items:,} {unit} ({report.made:,} new) in {report.shards} shards: {report.out}; "
        f"description: {report.index}"
    )
    if report.skipped:
        console.print(f"{len(report.skipped):,} could not be read and are left out:")
        for name, reason in list(report.skipped.items())[:SHOWN]:
            console.print(f"  {name}: {reason}")
    if report.interrupted:
        console.print("Interrupted: the finished shards are kept; run the same command to resume.")
        raise typer.Exit(INTERRUPTED)
