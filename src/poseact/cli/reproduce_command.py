"""The command that reproduces the published tables."""

from pathlib import Path
from typing import Annotated

import typer

from poseact.cli.app import Bars, app, make_console, named_table
from poseact.cli.explained import explained_by
from poseact.cli.options import DeviceOption, parsed_changes


@app.command("reproduce", cls=explained_by("poseact.evaluation.protocols.reproduce.reproduce"))
def reproduce_command(
    tables: Annotated[
        list[str] | None, typer.Argument(help="mpii, human36m, penn-action, ntu (default all).")
    ] = None,
    data: Annotated[Path, typer.Option(envvar="POSEACT_DATA")] = Path("data"),
    out: Path = Path("poseact-reproduce"),
    weights: Annotated[
        list[str] | None, typer.Option(help="PRESET=FILE, in place of the fetched weights.")
    ] = None,
    limit: int | None = None,
    device: DeviceOption = None,
) -> None:
    """Run the papers' evaluations and print the scores beside the published ones."""
    from poseact.evaluation.protocols.reproduce import reproduce

    with Bars() as bars:
        report = reproduce(
            tables or (),
            data,
            out,
            weights=parsed_changes(weights or (), "--weights", "cvpr18-mpii=FILE"),
            limit=limit,
            device=device,
            on_row=bars.update,
        )
    console = make_console()
    for name, rows in report.rows.items():
        lines = [("protocol", "weights", "paper", "ours")]
        for found in rows:
            unit = found.result.unit if found.result else ""
            published = "–" if found.row.published is None else f"{found.row.published:g}"
            ours = f"{found.result.value:.1f} {unit}" if found.result else "not run"
            lines.append(
                (found.row.what, found.row.preset, f"{published} ({found.row.source})", ours)
            )
        console.print(named_table(name, lines))
        reasons = [f"{found.row.preset}: {found.reason}" for found in rows if found.reason]
        for reason in dict.fromkeys(reasons):
            console.print(reason, soft_wrap=True)
    console.print(f"Full results with protocols: {report.json}")
    if all(found.result is None for rows in report.rows.values() for found in rows):
        raise typer.Exit(2)
