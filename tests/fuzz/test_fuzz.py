"""A short run of the fuzzer; the whole one is ``PYTHONPATH=tests python -m fuzz``."""

from __future__ import annotations

import sys

import pytest

from fuzz.runner import fuzz
from fuzz.targets import TARGETS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


@pytest.mark.slow(covers=True)
def test_mutations_are_read_or_refused_in_one_sentence():
    count = fuzz(",".join(TARGETS), seed=1, count=3)
    assert count.faults == {}
    assert count.total == 3 * len(TARGETS)
    assert count.refused > count.total / 4
