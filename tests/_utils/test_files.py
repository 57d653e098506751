"""Temporary files, and what killed runs leave of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write, open_folder, replacing, walk_files

WRITE_FOR_EVER = """
import sys, time
from pathlib import Path
from poseact._utils.files import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


def begin_to_write(path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    for name in ("a.tar", "deep/er/b.mp4"):
        process = begin_to_write(tmp_path / name)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 2
    open_folder(tmp_path)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.skipif(os.name != "posix", reason="needs SIGTERM")
def test_what_another_run_is_writing_stays(tmp_path):
    process = begin_to_write(tmp_path / "a.tar")
    try:
        before = sorted(tmp_path.iterdir())
        open_folder(tmp_path)
        assert sorted(tmp_path.iterdir()) == before
    finally:
        process.kill()
        process.wait()
    open_folder(tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_hidden_files_stay(tmp_path):
    for name in (".config", ".d41d8cd98f00b204e9800998ecf8427e.jpg", "poseact-a.tar"):
        (tmp_path / name).touch()
    open_folder(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    atomic_write(tmp_path / "a.txt", lambda partial: partial.write_text("old"))

    def fail(partial):
        partial.write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(PoseActError, match="No space left"):
        atomic_write(tmp_path / "a.txt", fail)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_two_writers_of_one_file(tmp_path):
    with replacing(tmp_path / "a.txt") as one, replacing(tmp_path / "a.txt") as other:
        one.write_text("1")
        other.write_text("2")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["1"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(PoseActError, match="is a file; give a folder"):
        open_folder(tmp_path / "out")


def test_results_in_a_link_to_itself_are_left_out_of_a_walk(tmp_path):
    (tmp_path / "a.txt").touch()
    (tmp_path / "out").symlink_to("out")
    assert walk_files(tmp_path, tmp_path / "out" / "in") == [tmp_path / "a.txt", tmp_path / "out"]
