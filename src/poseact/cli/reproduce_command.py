"""The command that measures the published tables again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskID

from poseact.cli.app import app, make_console, make_progress
from poseact.cli.explained import explained_by
from poseact.cli.train_commands import named_table, parsed_changes


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
    device: str | None = None,
) -> None:
    """Reproduce the papers' result tables, and print both side by side."""
    from poseact.evaluation.protocols.reproduce import reproduce

    with make_progress() as progress:
        tasks: dict[str, TaskID] = {}

        def on_row(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done)

        report = reproduce(
            tables or (),
            data,
            out,
            weights=parsed_changes(weights or (), "--weights", "cvpr18-mpii=FILE"),
            limit=limit,
            device=device,
            on_row=on_row,
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
    console.print(f"Everything, with the protocols: {report.json}")
