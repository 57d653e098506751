"""The training in a process of its own: progress, cancelling, going on."""

from __future__ import annotations

import json
import sys
import time

import pytest

from poseact import PoseActError
from poseact.studio.places import Places
from poseact.studio.training_job import TrainingJob

STEPS = """
import json, sys
wanted = json.loads(sys.argv[1])
def tell(**facts):
    print(json.dumps(facts), flush=True)
tell(stage="poses", done=1, total=2)
tell(stage="poses", done=2, total=2)
tell(curve="heads", loss=1.5)
tell(curve="heads", loss=float("1.25"))
"""
DONE = STEPS + 'tell(state="done", notes=["one note"])'
WAITS = STEPS + 'sys.stdin.read(); tell(state="cancelled")'
FAILS = STEPS + 'tell(state="failed", message="The clips are too few.")'
BREAKS = STEPS + 'raise MemoryError("no more")'


@pytest.fixture
def places(tmp_path):
    places = Places(tmp_path)
    places.own.mkdir()
    return places


def job_of(places, program):
    return TrainingJob(places, lambda: None, command=(sys.executable, "-c", program))


def wait(job, *states):
    limit = time.monotonic() + 60
    while job.progress.state not in states or job.running:
        assert time.monotonic() < limit, job.progress
        time.sleep(0.01)


def test_a_training_tells_its_progress(places):
    job = job_of(places, DONE)
    job.start({"epochs": 2})
    wait(job, "done")
    assert job.progress.stages == {"poses": (2, 2)}
    assert job.progress.curves == {"heads": [1.5, 1.25]}
    assert job.progress.notes == ["one note"]
    assert job_of(places, DONE).progress.state == "done"


def test_a_training_is_cancelled_and_resumes(places):
    job = job_of(places, WAITS)
    job.start({"epochs": 2})
    with pytest.raises(PoseActError, match="is running"):
        job.start({})
    job.cancel()
    wait(job, "cancelled")
    job.start({"epochs": 2})
    job.cancel()
    wait(job, "cancelled")


def test_the_next_training_may_start_as_soon_as_one_is_done(places):
    # The process tells its end and then lives on for as long as a pipe is open.
    job = job_of(
        places, STEPS + 'tell(state="done"); tell(stage="ends", done=1, total=1); sys.stdin.read()'
    )
    job.start({})
    while "ends" not in job.progress.stages:
        time.sleep(0.01)
    assert job.progress.state == "running"
    job.cancel()
    while job.progress.state == "running":
        time.sleep(0.001)
    job.start({})
    job.cancel()
    wait(job, "done")


@pytest.mark.parametrize(("program", "message"), [(FAILS, "too few"), (BREAKS, "no more")])
def test_a_training_that_fails_says_why(places, program, message):
    job = job_of(places, program)
    job.start({})
    wait(job, "failed")
    assert message in job.progress.message


def test_what_cannot_be_trained_is_refused_before(places):
    job = job_of(places, DONE)
    with pytest.raises(PoseActError):
        job.start({"epochs": 0})
    assert job.progress.state == "none"


def test_the_next_studio_resumes_a_training(places):
    job = job_of(places, WAITS)
    job.start({"epochs": 2})
    job.end()
    again = job_of(places, DONE)
    assert again.progress.state == "running"
    again.resume_if_killed()
    wait(again, "done")
    assert again.progress.plan == {"epochs": 2}


def test_a_damaged_record_of_a_training_is_none(places):
    (places.own / "training.json").write_text(json.dumps({"state": "running", "strange": 1}))
    assert job_of(places, DONE).progress.state == "none"
