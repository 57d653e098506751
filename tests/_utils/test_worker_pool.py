"""Jobs in several processes."""

from __future__ import annotations

import os
import signal

import pytest

from poseact._utils.interrupt import StopRequest
from poseact._utils.worker_pool import run_jobs


class Held:
    """Work that tells whether SIGINT was held back when it arrived in its process."""

    def __init__(self, held: bool = False) -> None:
        self.held = held

    def __reduce__(self):
        return _arrive, ()

    def __call__(self):
        return lambda job, tick: self.held


def _arrive() -> Held:
    return Held(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
@pytest.mark.slow(covers=True)
def test_a_process_that_starts_is_not_ended_by_ctrl_c():
    with StopRequest() as stop:
        done = list(run_jobs(Held(), "ab", workers=2, stop=stop, on_tick=lambda ticks: None))
    assert len(done) == 2
    assert all(held for _, held in done)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
