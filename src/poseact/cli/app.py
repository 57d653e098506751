"""The command line's application and the look of what it prints."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

INTERRUPTED = 130
"""Exit code of a job that was stopped by a signal."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"poseact {version('poseact')}")
        raise typer.Exit


@app.callback()
def poseact(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """2D/3D body pose and action recognition from one multitask network."""


class Rate(ProgressColumn):
    """Items per second, in the unit of the task."""

    def render(self, task: Task) -> Text:
        """See rich."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {task.fields['unit']}" if speed else f"– {task.fields['unit']}")


def make_console(stderr: bool = False) -> Console:
    """A console that prints file names as they are."""
    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True)


def make_progress(*columns: ProgressColumn) -> Progress:
    """A bar of description, count and time left, with further columns between them."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *columns,
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=make_console(stderr=True),
    )
