"""Messages never contain control characters or passwords."""

from __future__ import annotations

import io
import logging

import pytest
from rich.table import Table

from poseact.cli.app import PlainFormatter, make_console
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
    ("address", "told"),
    [
        ("rtsp://me:secret@192.0.2.1/s", "rtsp://me:***@192.0.2.1/s"),
        ("rtsp://me:sec@ret@192.0.2.1/s", "rtsp://me:***@192.0.2.1/s"),
        ("http://192.0.2.1:80/s", "http://192.0.2.1:80/s"),
        ("http://192.0.2.1:80/s?token=secret", "http://192.0.2.1:80/s?***"),
        ("rtsp://me@192.0.2.1/s", "rtsp://me@192.0.2.1/s"),
    ],
)
def test_passwords_are_not_told(address, told):
    assert live_source(address).name == told


def test_a_user_without_a_home(monkeypatch):
    for variable in ("HOME", "XDG_CACHE_HOME", "POSEACT_CACHE", "USERPROFILE"):
        monkeypatch.delenv(variable, raising=False)

    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", unknown)
    assert cache_folder().name.startswith("poseact-")
