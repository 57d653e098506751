"""Messages never contain control characters or passwords."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from rich.table import Table

import poseact.cli
from poseact import PoseActError
from poseact.cli.app import PlainFormatter, make_console, make_progress, without_commands
from poseact.inference.live_source import live_source
from poseact.weights.catalogue import cache_folder


def test_nothing_in_a_name_commands_the_terminal():
    console = make_console()
    console.file = io.StringIO()
    table = Table("name")
    table.add_row("b\x1b]0;title\x07")
    console.print("a\x1b[31m\x9b1m\r.mp4", "\u202e4pm.a", table)
    printed = console.file.getvalue()
    assert "a?[31m?1m?.mp4" in printed
    assert not any(sign in printed for sign in "\x1b\x07\x9b\r\u202e")
    record = logging.LogRecord("a", logging.WARNING, "a", 1, "%s", ("c\x1b[2J",), None)
    assert PlainFormatter("%(message)s").format(record) == "c?[2J"


@pytest.mark.parametrize(
    ("address", "printed"),
    [
        ("rtsp://me:secret@192.0.2.1/s", "rtsp://me:***@192.0.2.1/s"),
        ("rtsp://me:sec@ret@192.0.2.1/s", "rtsp://me:***@192.0.2.1/s"),
        ("http://192.0.2.1:80/s", "http://192.0.2.1:80/s"),
        ("http://192.0.2.1:80/s?token=secret", "http://192.0.2.1:80/s?***"),
        ("rtsp://me@192.0.2.1/s", "rtsp://me@192.0.2.1/s"),
        ("rtsp://m/e:secret@192.0.2.1/s", "rtsp://***@192.0.2.1/s"),
        ("rtsp://me:sec\nret@192.0.2.1/s", "rtsp://me:***@192.0.2.1/s"),
        ("http://192.0.2.1/s;token=secret", "http://192.0.2.1/s;***"),
    ],
)
def test_passwords_are_not_printed(address, printed):
    assert live_source(address).name == printed


@pytest.mark.parametrize("address", ["rtsp:/me:secret@a/s", "rtsp//me:secret@a/s", "me:secret@a/s"])
def test_passwords_in_mistyped_addresses(address):
    with pytest.raises(PoseActError, match="There is no file") as told:
        live_source(address)
    assert "secret" not in str(told.value)
    without = without_commands(f"There is no file {Path('rtsp://me:secret@a/s')}; check it.")
    assert without == "There is no file rtsp:/me:***@a/s; check it."


def test_the_name_of_a_task_commands_nothing():
    console = make_console()
    console.file = io.StringIO()
    progress = make_progress()
    progress.add_task("a\x1b[31m\nb", total=1)
    console.print(progress.get_renderable())
    assert "a?[31m?b" in console.file.getvalue()


def test_a_name_that_the_system_refuses_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["poseact", "predict", "a"])

    def refuse():
        raise OSError(36, "File name too long", "a\x1b")

    monkeypatch.setattr(poseact.cli, "app", refuse)
    with pytest.raises(SystemExit) as ended:
        poseact.cli.main()
    assert ended.value.code == 2
    assert "error: a? cannot be used (File name too long)" in capsys.readouterr().err


def test_a_user_without_a_home(monkeypatch):
    for variable in ("HOME", "XDG_CACHE_HOME", "POSEACT_CACHE", "USERPROFILE"):
        monkeypatch.delenv(variable, raising=False)

    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", unknown)
    assert cache_folder().name.startswith("poseact-")
