"""Commands that are interrupted and run again; the long form is helpers/interrupted_jobs.py."""

from __future__ import annotations

import os
import random

import pytest

from helpers.interrupted_jobs import COMMANDS, SIGNALS, interrupt, make_input

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("jobs")
    make_input(root)
    return root


@pytest.mark.parametrize("command", COMMANDS)
def test_a_job_that_was_interrupted_ends_as_if_undisturbed(command, root):
    signal = random.Random(command).choice(SIGNALS)
    for what, wrong in interrupt(command, root, each=1, seed=0, signals=(signal,)):
        assert not wrong, what
