"""The command that checks clips before training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from poseact.cli.app import INTERRUPTED, Bars, app, make_console
from poseact.cli.explained import explained_by, given
from poseact.cli.options import DeviceOption, PrecisionOption, RuntimeOption, reading_options

if TYPE_CHECKING:
    from poseact.clips.check_clips import CheckReport

SHOWN = 5
"""Findings of each kind that are printed."""


@app.command(
    "check",
    cls=explained_by(
        "poseact.clips.check_clips.check_clips", "poseact.clips.extract.ReadingOptions"
    ),
)
def check_command(
    folder: Annotated[
        Path, typer.Argument(help="A folder of videos for each action, or one with clips.csv.")
    ],
    out: Annotated[Path, typer.Option(help="JSON file for the whole report.")] = Path(
        "poseact-check.json"
    ),
    weights: Annotated[str | None, typer.Option(help="Weights of the pose network.")] = None,
    cache_dir: Annotated[Path | None, typer.Option("--cache")] = None,
    people: Annotated[
        bool, typer.Option(help="Detect people; otherwise only the files are checked.")
    ] = True,
    workers: int | None = None,
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Check the clips of a folder before training on them."""
    from poseact.clips.check_clips import check_clips

    reading = reading_options(workers, device, runtime, precision)
    options = given(weights=weights, cache_dir=cache_dir)
    if not people:
        options["weights"] = None
    with Bars() as bars:
        report = check_clips(
            folder,
            **options,
            reading=reading,
            on_step=lambda step: bars.update("videos", step.files, step.of),
        )
    report.write_json(out)
    _print_report(report)
    console = make_console()
    console.print(f"Full report: {out}")
    if report.interrupted:
        console.print("Interrupted: finished clips are kept; run the same command to resume.")
        raise typer.Exit(INTERRUPTED)
    if report.errors:
        raise typer.Exit(2)


def _print_report(report: CheckReport) -> None:
    """Print the actions, and the first findings of each kind."""
    console = make_console()
    table = Table("action", "clips", "recordings", "seconds", "frames/s", "people", title="Clips")
    for label, clips in report.by_label().items():
        seconds = [clip.seconds for clip in clips]
        rates = [clip.fps for clip in clips]
        table.add_row(
            label,
            str(len(clips)),
            str(len({clip.recording for clip in clips})),
            _span(seconds),
            _span(rates),
            _span([clip.people for clip in clips if clip.people is not None]),
        )
    console.print(table)
    kinds = dict.fromkeys((finding.severity, finding.kind) for finding in report.findings)
    for severity, kind in sorted(kinds):
        found = [f for f in report.findings if (f.severity, f.kind) == (severity, kind)]
        style = "red" if severity == "error" else "yellow"
        console.print(f"{severity}: {kind} ({len(found)})", style=style)
        for finding in found[:SHOWN]:
            console.print(f"  {finding.message}")
        if len(found) > SHOWN:
            console.print(f"  … and {len(found) - SHOWN} more")
    if not report.findings:
        console.print("No problems found.")


def _span(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
