"""Records of a distributed prediction that are damaged."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from poseact.inference.records import FileRecord, JobFolder

RECORD = FileRecord("a.mp4", "done", "x", 1, 10, "host:1", 3, 0.5, True)


@pytest.mark.parametrize(
    "change",
    [
        *({"source": "b.mp4"}, {"status": "x"}, {"attempts": "1"}, {"attempts": 2**40}),
        *({"bytes": 10**400}, {"frames": -1}, {"seconds": float("nan")}, {"actions": 1}),
        *(
            {"seconds": 10**40},
            {"worker": "\ud800"},
            {"worker": None},
            {"reason": [1]},
            {"surprise": 1},
            {"run": {}},
        ),
    ],
)
def test_what_a_record_of_wrong_content_tells_of_is_done_again(tmp_path, change, caplog):
    job = JobFolder(tmp_path)
    job.write(RECORD)
    assert job.read("a.mp4") == RECORD
    (tmp_path / "records" / "a.mp4.json").write_text(json.dumps(asdict(RECORD) | change))
    assert job.read("a.mp4") is None
    assert "a.mp4" in caplog.text
    job.write_index(["a.mp4"], job.read_all(["a.mp4"]))


@pytest.mark.parametrize("text", ["[" * 10**5, "{", "[]", "9" * 5000, "\xff"])
def test_what_is_no_record(tmp_path, text):
    job = JobFolder(tmp_path)
    job.write(RECORD)
    (tmp_path / "records" / "a.mp4.json").write_bytes(text.encode("latin1"))
    assert job.read("a.mp4") is None
