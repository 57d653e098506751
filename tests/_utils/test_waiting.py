"""How the package computes on a processor."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from poseact._utils.device import cores_are_free


@pytest.mark.parametrize(
    ("load", "ci", "free"), [(0.1, "", True), (3.9, "", False), (0.1, "true", False)]
)
def test_threads_wait_actively_on_idle_machines_alone(monkeypatch, load, ci, free):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv("CI", ci)
    assert cores_are_free() is free


@pytest.mark.parametrize("own", [None, "active"])
def test_the_users_waiting_policy_wins(own):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"CI": "1"} | ({} if own is None else {"OMP_WAIT_POLICY": own})
    script = "import os, poseact; print(os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == (own or "passive")
