"""Prediction of a collection by many workers: each file once, whatever is lost on the way."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from threading import Event, Thread

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import poseact
from helpers.networks import action_network
from helpers.paths import ROOT
from poseact._utils.errors import PoseActError
from poseact.cli import main
from poseact.data.pose_table import PoseTable
from poseact.inference.predict import predict
from poseact.inference.records import FileRecord, JobFolder
from poseact.media import VideoWriter, write_image

ray = pytest.importorskip("ray")
distributed = pytest.importorskip("poseact.inference.distributed")
worker = pytest.importorskip("poseact.inference.predict_worker")

LONG = 800


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    network = action_network(("stand", "walk"))
    return poseact.save(network, tmp_path_factory.mktemp("weights") / "actions.safetensors")


@pytest.fixture(scope="module")
def _cluster():
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init("local", num_cpus=2, object_store_memory=100 * 2**20, **options)
    yield
    ray.shutdown()


def write_video(path, frames, seed=0):
    picture = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
    with VideoWriter(path, 25, 64, 48) as video:
        for k in range(frames):
            video.write(np.roll(picture, k, 1))
    return path


def write_collection(root):
    write_video(root / "long.mp4", LONG)
    for number, name in enumerate(("a.mp4", "b.mp4", "sub dir/ü.mp4", "sub dir/a.mp4")):
        write_video(root / name, 12 + number, number)
    write_image(root / "photo.png", np.zeros((48, 64, 3), np.uint8))
    return root


def kill_worker_of(folder, name, finished):
    """Kill the process that has a file in hand, as soon as there is one."""
    while not finished.wait(0.02):
        record = folder.read(name)
        if record is not None:
            assert record.status == "started"
            os.kill(int(record.worker.rpartition(":")[2]), signal.SIGKILL)
            return


def rows(folder):
    return {row["source"]: row for row in pq.read_table(folder.index).to_pylist()}


def stamps(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")}


@pytest.mark.usefixtures("_cluster")
@pytest.mark.slow(covers=True)
def test_a_killed_worker_loses_no_file_and_repeats_none(weights, tmp_path):
    source = write_collection(tmp_path / "videos")
    (source / "broken.mp4").write_bytes(b"no video")
    folder = JobFolder(tmp_path / "out")
    options = {"weights": weights, "workers": 2, "people": "one"}
    told = []
    finished = Event()
    killer = Thread(target=kill_worker_of, args=(folder, "long.mp4", finished))
    killer.start()
    try:
        report = distributed.predict_distributed(
            source, folder.root, **options, on_file=lambda *step: told.append(step)
        )
    finally:
        finished.set()
        killer.join()

    assert (report.files, report.done, report.before, report.interrupted) == (7, 6, 0, False)
    assert list(report.failed) == [source / "broken.mp4"]
    assert told == [(done, 7) for done in range(8)]
    index = rows(folder)
    lengths = {"long.mp4": LONG, "a.mp4": 12, "b.mp4": 13, "sub dir/ü.mp4": 14}
    lengths |= {"sub dir/a.mp4": 15, "photo.png": 1}
    attempts = {name: row["attempts"] for name, row in index.items()}
    assert attempts == {name: 1 + (name == "long.mp4") for name in (*lengths, "broken.mp4")}
    assert index["broken.mp4"]["status"] == "failed"
    assert index["broken.mp4"]["poses"] is None
    assert "broken.mp4" in index["broken.mp4"]["reason"]
    written = {path.relative_to(folder.root).as_posix() for path in stamps(folder.root / "poses")}
    assert written == {index[name]["poses"] for name in lengths}
    for name, frames in lengths.items():
        table = PoseTable.read_parquet(folder.poses(name))
        assert [pose.frame for pose in table] == list(range(frames))
        assert {source for source, _ in table.items()} == {name}
        assert (index[name]["actions"] is None) == (name == "photo.png")
    whole = pq.read_table(folder.root / "poses")
    assert whole.num_rows == sum(lengths.values()) * 16

    write_video(source / "broken.mp4", 5)
    before = stamps(folder.root / "poses")
    report = distributed.predict_distributed(source, folder.root, **options)
    assert (report.done, report.before, report.failed) == (7, 6, {})
    after = stamps(folder.root / "poses")
    assert after.keys() - before.keys() == {folder.poses("broken.mp4")}
    assert {path: after[path] for path in before} == before


@pytest.mark.slow
def test_a_stopped_command_resumes_and_ends_doing_nothing(weights, tmp_path, request):
    source, folder = write_collection(tmp_path / "videos"), JobFolder(tmp_path / "out")
    command = [sys.executable, "-m", "poseact", "predict", str(source), "--out", str(folder.root)]
    command += ["--engine", "ray", "--workers", "1", "--weights", str(weights), "--people", "one"]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        while process.poll() is None and folder.read("long.mp4") is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "resume" in printed
    first = {record.source: record for record in folder.read_all(list(rows(folder))) if record}
    assert first["long.mp4"].status == "started"
    assert rows(folder)["long.mp4"]["status"] == "waiting"

    request.getfixturevalue("_cluster")
    report = distributed.predict_distributed(
        source, folder.root, weights=weights, workers=1, people="one"
    )
    done = [record for record in first.values() if record.status == "done"]
    assert (report.done, report.before) == (6, len(done))
    assert all(folder.read(record.source) == record for record in done)
    assert folder.read("long.mp4").attempts == 1

    times = stamps(folder.root)
    report = distributed.predict_distributed(source, folder.root, weights=weights, people="one")
    assert (report.done, report.before, report.interrupted) == (6, 6, False)
    del times[folder.index]
    assert times.items() <= stamps(folder.root).items()


def make_worker(tmp_path, weights, run="this run"):
    folder = JobFolder(tmp_path / "out")
    root = tmp_path / "videos"
    job = worker.WorkerJob(run, root, folder, str(weights), None, "one", "cpu", 1, "torch", "fp32")
    return worker.FileWorker(job), folder


@pytest.mark.slow
def test_tables_are_those_of_predict(weights, tmp_path):
    root = tmp_path / "videos"
    write_video(root / "clip.mp4", 30)
    files, folder = make_worker(tmp_path, weights)
    assert files(worker.packed_item("clip.mp4", None)) == {"error": None}
    report = predict(root, tmp_path / "local", weights=weights, draw=False, people="one")
    pairs = {folder.poses("clip.mp4"): report.parquet, folder.actions("clip.mp4"): report.actions}
    for pair in pairs.items():
        ours, theirs = map(pq.read_table, pair)
        assert ours.schema.equals(theirs.schema)
        for column, values in theirs.to_pydict().items():
            # Threads differ, and with them the last bits.
            if isinstance(values[0], float):
                np.testing.assert_allclose(ours[column].to_pylist(), values, rtol=1e-4, atol=1e-3)
            else:
                assert ours[column].to_pylist() == values
    assert folder.segments("clip.mp4").read_text() == report.segments.read_text()


@pytest.mark.slow
def test_boxes_are_read_instead_of_one_person_followed(weights, tmp_path):
    write_video(tmp_path / "videos" / "clip.mp4", 4)
    files, folder = make_worker(tmp_path, weights)
    files(worker.packed_item("clip.mp4", {2: [(4, 4, 40, 40), (20, 4, 60, 44)]}))
    table = PoseTable.read_parquet(folder.poses("clip.mp4"))
    assert [(pose.frame, pose.person) for pose in table] == [(2, 0), (2, 1)]
    assert folder.read("clip.mp4").frames == 4
    assert not folder.actions("clip.mp4").exists()


def started(name, attempts, run="this run"):
    return FileRecord(name, "started", run, attempts, 0, "host:1")


@pytest.mark.parametrize(
    ("former", "status", "attempts"),
    [
        (started("clip.mp4", 2), "done", 3),
        (started("clip.mp4", worker.ATTEMPTS), "failed", worker.ATTEMPTS + 1),
        (started("clip.mp4", worker.ATTEMPTS, "another run"), "done", 1),
    ],
)
@pytest.mark.slow
def test_a_file_that_ends_its_workers_is_given_up(former, status, attempts, weights, tmp_path):
    write_video(tmp_path / "videos" / "clip.mp4", 4)
    files, folder = make_worker(tmp_path, weights)
    folder.write(former)
    files(worker.packed_item("clip.mp4", None))
    record = folder.read("clip.mp4")
    assert (record.status, record.attempts) == (status, attempts)
    assert (status == "failed") == ("lost 3 times" in (record.reason or ""))
    assert folder.poses("clip.mp4").exists() == (status == "done")


@pytest.mark.slow
def test_a_finished_file_is_not_read_again_in_the_same_run(weights, tmp_path):
    files, folder = make_worker(tmp_path, weights)
    record = FileRecord("gone.mp4", "done", "this run", 1, 9, "host:1", 3)
    folder.write(record)
    files(worker.packed_item("gone.mp4", None))
    assert folder.read("gone.mp4") == record
    files, _ = make_worker(tmp_path, weights, "another run")
    files(worker.packed_item("gone.mp4", None))
    assert folder.read("gone.mp4").status == "failed"


def test_an_unforeseen_error_is_recorded(weights, tmp_path, monkeypatch):
    write_video(tmp_path / "videos" / "clip.mp4", 4)

    def fail(*_):
        raise MemoryError("out of it")

    monkeypatch.setattr(worker, "open_media", fail)
    files, folder = make_worker(tmp_path, weights)
    assert files(worker.packed_item("clip.mp4", None)) == {"error": None}
    assert folder.read("clip.mp4").reason == "MemoryError: out of it"


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_name_that_is_no_text(weights, tmp_path):
    name = os.fsdecode(b"clip \xff.mp4")
    write_video(tmp_path / "videos" / "clip.mp4", 4).rename(tmp_path / "videos" / name)
    files, folder = make_worker(tmp_path, weights)
    assert files(worker.packed_item(name, None)) == {"error": None}
    folder.write_index([name], folder.read_all([name]))
    assert rows(folder)["clip ?.mp4"]["status"] == "done"
    assert folder.waiting(tmp_path / "videos", [name]) == []


def test_what_keeps_every_file_from_being_predicted_is_reported(weights, tmp_path):
    write_video(tmp_path / "videos" / "clip.mp4", 4)
    files, folder = make_worker(tmp_path, tmp_path / "missing.safetensors")
    assert "missing.safetensors" in files(worker.packed_item("clip.mp4", None))["error"]
    assert folder.read("clip.mp4") is None
    files, folder = make_worker(tmp_path, weights)
    folder.root.write_text("a file where the folder should be")
    assert "could not be written" in files(worker.packed_item("clip.mp4", None))["error"]


def test_results_that_no_longer_belong_to_their_file_are_made_again(weights, tmp_path):
    root = tmp_path / "videos"
    write_video(root / "clip.mp4", 4)
    files, folder = make_worker(tmp_path, weights)
    files(worker.packed_item("clip.mp4", None))
    assert folder.waiting(root, ["clip.mp4"]) == []
    with (root / "clip.mp4").open("ab") as file:
        file.write(b"more")
    assert folder.waiting(root, ["clip.mp4"]) == ["clip.mp4"]
    files(worker.packed_item("clip.mp4", None))
    make_again, _ = make_worker(tmp_path, weights, "another run")
    make_again(worker.packed_item("clip.mp4", None))
    assert folder.waiting(root, ["clip.mp4"]) == []
    folder.poses("clip.mp4").unlink()
    assert folder.waiting(root, ["clip.mp4"]) == ["clip.mp4"]


def test_a_folder_keeps_to_its_options(weights, tmp_path):
    write_video(tmp_path / "videos" / "clip.mp4", 4)
    folder = JobFolder(tmp_path / "out")
    folder.claim({"weights": "of another sum"})
    with pytest.raises(PoseActError, match=r"other options \(source, weights"):
        distributed.predict_distributed(tmp_path / "videos", folder.root, weights=weights)
    with pytest.raises(PoseActError, match="is a file; give a folder"):
        JobFolder(tmp_path / "videos" / "clip.mp4").claim({})
    (folder.root / "job.json").write_text(json.dumps([]))
    with pytest.raises(PoseActError, match="is not a JSON object; remove it"):
        folder.claim({})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--workers", "2"), "--workers was given without --engine ray"),
        (("--gpus-per-worker", "0.5"), "--gpus-per-worker was given without"),
        (("--engine", "ray", "--draw"), "engine ray writes tables only"),
        (("--engine", "ray", "--side-view"), "engine ray writes tables only"),
        (("--engine", "ray", "--workers", "0"), "give 1 or more"),
        (("--engine", "ray", "--cpus-per-worker", "0"), "at least 1 core"),
    ],
)
def test_options_that_do_not_go_together(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["poseact", "predict", str(tmp_path), *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_pages_tell_what_was_measured(monkeypatch, tmp_path):
    measured = ROOT / "benchmarks" / "speed.json"
    if not measured.exists():
        pytest.skip("benchmarks/speed.py has not been run")
    monkeypatch.syspath_prepend(str(measured.parent))
    tables = importlib.import_module("speed_tables")
    for page in ("runtimes.md", "large-scale.md"):
        shutil.copy(ROOT / "docs" / page, tmp_path)
    tables.write_pages(tmp_path, json.loads(measured.read_text()))
    for page in ("runtimes.md", "large-scale.md"):
        assert (tmp_path / page).read_text() == (ROOT / "docs" / page).read_text()
