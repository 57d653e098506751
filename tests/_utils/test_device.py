"""How a process gets its memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from poseact._utils.device import keep_freed_memory

FAULTS = """
import resource
import torch
from poseact._utils.device import on_device
def faults(times=4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):  # in blocks larger than those that malloc keeps by itself
        torch.empty(40 * 2**20, dtype=torch.uint8).zero_()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
usual = faults()
on_device("cpu", lambda device: None)
faults(16)  # until the heap is as large as it will be
print(usual, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
@pytest.mark.slow
def test_freed_memory_is_kept():
    settings = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    usual, kept = map(int, done.stdout.split())
    assert usual > 1000
    assert kept < 100


def test_keeping_memory_can_be_turned_off(monkeypatch):
    monkeypatch.setenv("POSEACT_MALLOC", "0")
    keep_freed_memory.cache_clear()
    assert not keep_freed_memory()
    keep_freed_memory.cache_clear()
