"""How a process gets its memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from poseact._utils.device import on_device
on_device("cpu", lambda device: None)
def work():  # in blocks larger than those that malloc keeps by itself
    for _ in range(16):
        torch.empty(40 * 2**20, dtype=torch.uint8).zero_()
work()  # until the heap is as large as it will be
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(setting: str) -> int:
    command = [sys.executable, "-c", FAULTS]
    settings = {name: value for name, value in os.environ.items() if "MALLOC_" not in name}
    result = subprocess.run(
        command,
        env={**settings, "POSEACT_MALLOC": setting},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
@pytest.mark.slow
def test_freed_memory_is_kept_unless_that_is_turned_off():
    assert page_faults("1") < 100
    assert page_faults("0") > 1000
