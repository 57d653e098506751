"""The command-line application, its console, tables and progress bars."""

from __future__ import annotations

import logging
import re
import sys
import unicodedata
from contextlib import suppress
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
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
from typer.core import TyperGroup

_ORDER = (
    *("predict", "demo", "live", "studio", "check", "train-actions", "eval-actions"),
    *("eval-unknown", "train", "train-pose", "eval-pose", "eval-people", "eval-tracking"),
    *("reproduce", "inspect", "make-synthetic", "data", "weights", "import-keras", "export"),
)


class _InOrder(TyperGroup):
    """Lists the commands in the order of their use, not of their imports."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=(*_ORDER, *self.commands).index)


app = typer.Typer(
    cls=_InOrder,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_PASSWORD = re.compile(r"(\b\w+:/{1,2}[^\s:/@]*:)\S*@")
_DIRECTIONS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})

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
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {task.fields['unit']}" if speed else f"– {task.fields['unit']}")


class _SafeStream:
    """A stream that ignores write errors, so that a closed pipe does not end a job."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def make_output_safe() -> None:
    """From here on, text that cannot be printed is escaped or dropped instead of raising an error.

    Some terminals cannot show every letter of a file name, and pipes are closed early.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, _SafeStream(getattr(sys, name)))


class _Description(ProgressColumn):
    """The name of a task, which may be that of a file."""

    def render(self, task: Task) -> Text:
        return Text(without_commands(task.description).replace("\n", "?"))


class _PlainConsole(Console):
    """Prints file names unchanged except for terminal control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(without_commands(text), **options)


def make_console(stderr: bool = False) -> Console:
    """A console without markup, so that brackets in file names are printed."""
    return _PlainConsole(stderr=stderr, markup=False, highlight=False, soft_wrap=True)


def without_commands(text: str) -> str:
    """Text in which ``?`` replaces control characters and changes of the writing direction.

    Passwords in addresses are left out, too.
    """
    plain = "".join("?" if c not in "\n\t" and _is_control(c) else c for c in text)
    return _PASSWORD.sub(r"\1***@", plain)


def _is_control(character: str) -> bool:
    category = unicodedata.category(character)
    return category in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(character) in _DIRECTIONS


class PlainFormatter(logging.Formatter):
    """Formats log messages without terminal control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return without_commands(super().format(record))


def make_progress(*columns: ProgressColumn) -> Progress:
    """A bar with description, count and remaining time, and further columns between them."""
    return Progress(
        _Description(),
        BarColumn(),
        MofNCompleteColumn(),
        *columns,
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=make_console(stderr=True),
    )


class Bars:
    """A progress bar for each named step of a job."""

    def __init__(self) -> None:
        self._progress = make_progress()
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, name: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=done, total=total)


def named_table(title: str, rows: list[tuple[str, ...]]) -> Table:
    """A table of a heading and rows, with numbers aligned to the right."""
    heading, *body = rows
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(heading):
        table.add_column(column, justify="right" if number else "left")
    for row in body:
        table.add_row(*row, style="bold" if row[0] == "all" else None)
    return table
