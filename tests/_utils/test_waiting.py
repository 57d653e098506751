"""How the package computes on a processor."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from poseact._utils.device import cores_are_free


@pytest.mark.parametrize(
    ("waited", "computing", "ci", "free"),
    [
        (0.3, 1, "", True),
        (0.3, 2, "", False),
        (40.0, 1, "", False),
        (0.3, 1, "true", False),
    ],
)
def test_threads_wait_actively_on_idle_machines_alone(
    monkeypatch, tmp_path, waited, computing, ci, free
):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv("CI", ci)
    (tmp_path / "pressure").mkdir()
    text = f"some avg10={waited} avg60=20.00 avg300=20.00 total=9\nfull avg10=0.00 total=0\n"
    (tmp_path / "pressure/cpu").write_text(text)
    (tmp_path / "loadavg").write_text(f"9.00 9.00 9.00 {computing}/99 1234\n")
    assert cores_are_free(tmp_path) is free


@pytest.mark.parametrize(("load", "free"), [(0.1, True), (3.9, False)])
def test_the_load_average_decides_where_linux_says_nothing_else(monkeypatch, tmp_path, load, free):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv("CI", "")
    assert cores_are_free(tmp_path) is free


@pytest.mark.parametrize("own", [None, "active"])
def test_the_users_waiting_policy_wins(own):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"CI": "1"} | ({} if own is None else {"OMP_WAIT_POLICY": own})
    script = "import os, poseact; print(os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == (own or "passive")
