"""Actions live: the stream, its sources, the job and the command."""

from __future__ import annotations

import functools
import gc
import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, pairwise
from urllib.parse import quote

import numpy as np
import pytest
import torch

import poseact
from helpers import networks
from poseact.actions.answers import UNKNOWN
from poseact.actions.clip_inputs import window_answers
from poseact.actions.pose_sequence import PoseSequence
from poseact.actions.timeline import strip_height
from poseact.cli import main
from poseact.inference.live import RecentSegments, run_live
from poseact.inference.live_source import BackOff, LiveSource, live_source
from poseact.media import Frame, VideoReader, VideoWriter
from poseact.models.sequence import SequenceConfig
from poseact.skeleton import PA16

LABELS = ("sit", "stand")
SOON = BackOff(first_s=0.01, longest_s=0.02)


def action_network(**card):
    return networks.action_network(LABELS, **card)


def one_person(network):
    return poseact.Stream(network, device="cpu", people="one")


@pytest.fixture(scope="module")
def network():
    return action_network()


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    return poseact.save(network, tmp_path_factory.mktemp("weights") / "actions.safetensors")


def picture(seed, width=64, height=48):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip ü.mp4"
    rng = np.random.default_rng(5)
    with VideoWriter(path, 25, 64, 48) as writer:
        for k, moment in enumerate(np.cumsum(rng.uniform(0.02, 0.06, 30))):
            writer.write(picture(k), moment)
    return path


def offline(stream, readings, times):
    """The whole video as a sequence, as it is cached."""
    return PoseSequence(
        "video",
        stream.predictor.skeleton,
        np.array(times),
        np.stack([reading.pose.joints for reading in readings]),
        np.stack([reading.pose.confidence for reading in readings]),
        np.stack([reading.appearance for reading in readings]).astype(np.float16),
    )


@pytest.mark.parametrize("kind", ["multitask", "sequence"])
def test_answers_are_those_of_the_whole_video(kind, network, video, tmp_path):
    if kind == "sequence":
        pose = poseact.save(network, tmp_path / "pose.safetensors")
        config = SequenceConfig(
            labels=LABELS, frames=8, skeleton=PA16, coordinates=3, action_blocks=2
        )
        network = config.build().eval()
        network.card = replace(network.card, fps=10.0, pose_weights=str(pose))
    stream = one_person(network)
    with VideoReader(video) as frames:
        answers = [stream.push(frame.image, frame.time)[0] for frame in frames]
        readings = [reading for _, reading in stream.predictor.follow(frames)]
        times = [frame.time for frame in frames]
    sequence = offline(stream, readings, times)
    wanted = window_answers(network, sequence, times)["fused"].exp().numpy()
    np.testing.assert_allclose([a.probabilities for a in answers], wanted, atol=1e-5)
    assert np.ptp(wanted[:, 0]) > 1e-3  # the answers do change
    assert [a.complete for a in answers] == [moment >= 0.7 for moment in times]
    assert [a.pose.frame for a in answers] == list(range(30))
    for answer in answers:
        best = answer.probabilities.argmax()
        assert answer.label == LABELS[best]
        assert answer.probability == pytest.approx(answer.probabilities[best])
    assert len(stream) < 30


def test_everyone_in_view_has_answers_of_their_own(network, person):
    stream = poseact.Stream(network, device="cpu")
    two, nobody = np.concatenate((person, person), 1), np.zeros_like(person)
    assert stream.push(nobody, 0.0) == []
    for k in range(1, 4):
        answers = stream.push(two, k / 10)
        assert [answer.pose.person for answer in answers] == [0, 1]
        for answer in answers:
            x0, y0, x1, y1 = answer.box
            assert 0 <= x0 < x1 <= two.shape[1]
            assert 0 <= y0 < y1 <= two.shape[0]
            assert not answer.complete
    left, right = sorted(answers, key=lambda answer: answer.box[0])
    assert left.box[2] - person.shape[1] < right.box[0]
    assert len(stream) == 6
    stream.push(nobody, 9.0)
    assert len(stream) == 0  # both are gone for good


@pytest.mark.slow(covers=True)
def test_everyone_is_answered_as_in_the_whole_video(network, person):
    stream = poseact.Stream(network, device="cpu", people=2)
    two = np.concatenate((person, person), 1)
    frames = [Frame(k, k / 10, np.roll(two, k, 1)) for k in range(6)]
    answers = [stream.push(frame.image, frame.time) for frame in frames]
    people = {}
    for frame, readings in stream.predictor.readings(frames):
        for reading in readings:
            people.setdefault(reading.pose.person, []).append((frame.time, reading))
    assert len(people) == 2
    for number, seen in people.items():
        times, readings = zip(*seen, strict=True)
        wanted = window_answers(network, offline(stream, readings, times), times)["fused"].exp()
        found = [a.probabilities for each in answers for a in each if a.pose.person == number]
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


def test_smoothing_changes_the_poses_and_not_the_answers(network):
    smooth, raw = (
        poseact.Stream(network, device="cpu", people="one", smooth=wanted)
        for wanted in (True, False)
    )
    for k in range(4):
        (calm,), (read,) = (each.push(picture(k), k / 10) for each in (smooth, raw))
        np.testing.assert_array_equal(calm.probabilities, read.probabilities)
    assert not np.allclose(calm.pose.joints, read.pose.joints)


def test_the_number_of_threads_stays(network):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        one_person(network).push(picture(0), 0.0)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_reset_starts_again(network):
    stream = one_person(network)
    first = [stream.push(picture(k), k / 10)[0].probabilities for k in range(5)]
    stream.reset()
    assert len(stream) == 0
    again = [stream.push(picture(k), k / 10)[0].probabilities for k in range(5)]
    np.testing.assert_array_equal(first, again)


def test_an_unsure_answer_is_unknown():
    stream = one_person(action_network(unknown_below=0.999))
    (answer,) = stream.push(picture(0))
    assert answer.label == UNKNOWN
    assert 0.5 <= answer.probability < 0.999


def test_latency_counts_from_the_arrival(network):
    stream = one_person(network)
    assert np.isnan(stream.latency().p50_ms)
    for k in range(4):
        (answer,) = stream.push(picture(k), k / 10, time.perf_counter() - (2 if k == 3 else 0))
    assert answer.latency_ms > 2000
    latency = stream.latency()
    assert 0 < latency.p50_ms < 2000 < latency.p95_ms + 400
    assert latency.frames(30) == pytest.approx((latency.p50_ms * 0.03, latency.p95_ms * 0.03))


def test_bad_pictures_and_times(network):
    stream = one_person(network)
    stream.push(picture(0), 1.0)
    for moment in (1.0, 0.5, float("nan"), float("inf")):
        with pytest.raises(poseact.PoseActError, match="increasing times"):
            stream.push(picture(1), moment)
    with pytest.raises(poseact.PoseActError, match="given as a picture"):
        stream.push(np.zeros((4, 4), np.uint8), 2.0)
    assert stream.push(picture(1), 2.0)[0].pose.frame == 1  # still usable


def test_weights_without_actions(network):
    with pytest.raises(poseact.PoseActError, match="do not recognise actions"):
        poseact.Stream("small-open")
    clips = poseact.create_model("tiny", labels=LABELS)
    with pytest.raises(poseact.PoseActError, match="do not recognise actions in pose sequences"):
        poseact.Stream(clips)


@pytest.mark.slow
def test_memory_is_bounded_over_a_long_run(network, monkeypatch):
    monkeypatch.setattr("poseact.inference.stream.LATENCIES", 100)
    stream = one_person(network)
    image = picture(0)
    blocks = {}
    for k in range(601):
        stream.push(image, k / 30)
        if k in (150, 600):
            gc.collect()
            blocks[k] = sys.getallocatedblocks()
    assert len(stream) <= 24
    assert blocks[600] < blocks[150] + 225  # half an object for each frame


def test_a_file_gives_all_its_frames(video):
    source = live_source(video)
    with source, VideoReader(video) as wanted:
        frames = list(source)
        assert [f.time for f in frames] == [f.time for f in wanted]
        assert all((f.image == w.image).all() for f, w in zip(frames, wanted, strict=True))
    assert [frame.index for frame in frames] == list(range(30))
    assert source.dropped == source.reconnections == 0


def counting(count):
    """Pictures whose first value is their number."""
    for k in range(count):
        yield time.perf_counter(), np.full((2, 2, 3), k, np.uint8)


def test_latest_drops_what_nobody_has_time_for():
    first_taken, all_came = threading.Event(), threading.Event()

    def pictures():
        for picture in counting(9):
            yield picture
            first_taken.wait(20)
        all_came.set()

    with LiveSource(pictures, "camera", policy="latest", lasting=False) as source:
        frames = iter(source)
        taken = [next(frames)]
        first_taken.set()
        assert all_came.wait(20)
        taken += frames
    assert [frame.index for frame in taken] == [0, 8]
    assert [frame.image[0, 0, 0] for frame in taken] == [0, 8]
    assert source.dropped == 7


def test_all_drops_nothing():
    source = LiveSource(lambda: counting(30), "s", policy="all", lasting=False)
    taken = []
    with source:
        for frame in source:
            taken.append(frame.index)
            time.sleep(0.001)
    assert taken == list(range(30))
    assert source.dropped == 0


def test_a_lost_source_is_found_again():
    attempts = []

    def connect():
        attempts.append(None)
        if len(attempts) in (2, 3):
            raise poseact.PoseActError("not there")
        return iter(()) if len(attempts) == 4 else counting(3)

    source = LiveSource(connect, "camera", policy="all", back_off=SOON)
    with source:
        frames = list(islice(source, 8))
    assert [frame.index for frame in frames] == list(range(8))
    assert [frame.image[0, 0, 0] for frame in frames] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert source.reconnections >= 2
    assert len(attempts) >= 6


def test_a_source_that_stays_away_is_given_up():
    def connect():
        if connect.calls:
            raise poseact.PoseActError("not there")
        connect.calls += 1
        return counting(2)

    connect.calls = 0
    back_off = BackOff(first_s=0.01, longest_s=0.01, patience_s=0.05)
    source = LiveSource(connect, "The camera 7", policy="all", back_off=back_off)
    taken = []
    with (
        pytest.raises(poseact.PoseActError, match="The camera 7 was lost"),
        source,
    ):
        taken.extend(frame.index for frame in source)
    assert taken == [0, 1]


def test_waiting_for_a_lost_source_can_be_ended():
    def connect():
        if connect.calls:
            raise poseact.PoseActError("not there")
        connect.calls += 1
        return counting(1)

    connect.calls = 0
    source = LiveSource(connect, "camera", policy="all", back_off=BackOff(first_s=60))
    start = time.monotonic()
    with source:
        taken = list(source.frames(lambda: time.monotonic() > start + 0.5))
    assert len(taken) == 1
    assert time.monotonic() < start + 10


def test_an_error_in_the_reading_thread_reaches_the_reader():
    def broken():
        yield from counting(1)
        raise poseact.PoseActError("the lens fell off")

    with (
        pytest.raises(poseact.PoseActError, match="lens"),
        LiveSource(broken, "camera", policy="all") as source,
    ):
        list(source)


def test_a_file_in_real_time_takes_its_time(tmp_path):
    path = tmp_path / "slow.mp4"
    with VideoWriter(path, 20, 64, 48) as writer:
        for k in range(11):
            writer.write(picture(k))
    start = time.monotonic()
    with live_source(path, realtime=True, policy="all") as source:
        assert len(list(source)) == 11
        assert source.live
        assert source.fps
    assert time.monotonic() - start >= 0.5


@pytest.fixture
def address(video):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(video.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/clip%20%C3%BC.mp4"
        server.shutdown()
        thread.join()


def test_an_address_is_read_and_opened_again_when_it_ends(address, video):
    source = live_source(address, policy="all", back_off=SOON)
    with source:
        frames = list(islice(source, 45))
    assert source.reconnections >= 1
    assert all(b.time > a.time for a, b in pairwise(frames))
    with VideoReader(video) as wanted:
        first = next(iter(wanted)).image.astype(int)
    assert np.abs(frames[0].image.astype(int) - first).mean() < 12  # RGB, not BGR


def test_a_photo_is_no_source(tmp_path):
    path = tmp_path / "photo.JPG"
    path.touch()
    with pytest.raises(poseact.PoseActError, match=r"photo .*photo.JPG was given; give .* video"):
        live_source(path)


def test_no_words_but_our_own():
    # In a program of its own, for FFmpeg asks how loud it may be only once.
    program = (
        "from poseact._utils.errors import PoseActError\n"
        "from poseact.inference.live_source import live_source\n"
        "for spec in (987, 'http://127.0.0.1:9/x.mp4'):\n"
        "    try:\n"
        "        live_source(spec).__enter__()\n"
        "    except PoseActError:\n"
        "        continue\n"
        "    raise SystemExit(1)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (run.stdout, run.stderr) == (b"", b"")


def test_sources_that_do_not_exist(tmp_path):
    with pytest.raises(poseact.PoseActError, match="no video file"):
        live_source(tmp_path / "none.mp4")
    with pytest.raises(poseact.PoseActError, match="camera 987"), live_source(987):
        pass
    nobody = "http://127.0.0.1:9/x.mp4"
    with pytest.raises(poseact.PoseActError, match="cannot be opened"), live_source(nobody):
        pass
    with pytest.raises(poseact.PoseActError, match="'newest'"):
        LiveSource(lambda: counting(1), "s", policy="newest")


def test_recent_segments_are_bounded(network):
    stream = one_person(network)
    (answer,) = stream.push(picture(0), 0.0)
    recent = RecentSegments(span=10)
    for k in range(1000):
        recent.add(k / 10, answer._replace(label=LABELS[k // 30 % 2]))
    assert len(recent.segments) <= 5
    assert recent.segments[-1].end == 99.9
    assert recent.segments[0].start <= 99.9 - 10
    assert all(a.end == b.start and a.label != b.label for a, b in pairwise(recent.segments))


def test_live_job_records_what_it_draws(network, video, tmp_path):
    seen = []
    stream = one_person(network)
    report = run_live(stream, live_source(video), out=tmp_path / "live.mp4", on_answers=seen.extend)
    assert report.frames == len(seen) == 30
    assert not report.interrupted
    assert report.fps > 0
    assert report.latency.p95_ms >= report.latency.p50_ms > 0
    with VideoReader(report.out) as recorded:
        assert (recorded.width, recorded.height) == (64, 48 + strip_height(48))
        times = [frame.time for frame in recorded]
    np.testing.assert_allclose(times, [answer.pose.time for answer in seen], atol=1e-3)


def coming_back(sizes, count=4):
    """A source that is lost and comes back in each of the sizes, then stays away."""
    left = list(sizes)

    def connect():
        if not left:
            raise poseact.PoseActError("not there")
        width, height = left.pop(0)
        return ((time.perf_counter(), picture(k, width, height)) for k in range(count))

    back_off = BackOff(first_s=0.01, longest_s=0.01, patience_s=0.05)
    return LiveSource(connect, "The camera 7", policy="all", back_off=back_off)


@pytest.mark.parametrize("sizes", [[(64, 48)], [(64, 48), (64, 48)], [(64, 48), (90, 30), (8, 80)]])
def test_what_a_lost_source_gave_is_kept(network, tmp_path, sizes):
    stream, seen = one_person(network), []
    with pytest.raises(poseact.PoseActError, match=r"was lost .* pictures received so far are in"):
        run_live(stream, coming_back(sizes), out=tmp_path / "live.mp4", on_answers=seen.extend)
    assert [path.name for path in tmp_path.iterdir()] == ["live.mp4"]
    recorded = VideoReader(tmp_path / "live.mp4")
    assert (recorded.width, recorded.height) == (64, 48 + strip_height(48))
    assert len(list(recorded)) == len(seen) == 4 * len(sizes)
    assert [answer.pose.frame for answer in seen] == list(range(4 * len(sizes)))


@pytest.mark.parametrize("name", ["live.txt", "file/live.mp4"])
def test_what_could_not_be_recorded_is_not_claimed(network, tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(poseact.PoseActError, match=r"could not be written|cannot be") as told:
        run_live(one_person(network), coming_back([(64, 48)]), out=tmp_path / name)
    assert "received so far" not in str(told.value)


def test_a_recording_never_replaces_its_source(network, video):
    content = video.read_bytes()
    with pytest.raises(poseact.PoseActError, match="would replace its own source"):
        run_live(one_person(network), live_source(video), out=video)
    assert video.read_bytes() == content
    source = LiveSource(lambda: iter(()), "http://a/" + "x" * 5000, lasting=False)
    assert run_live(one_person(network), source, out=video).frames == 0


def test_what_came_before_an_error_is_kept(network, tmp_path):
    def pictures():
        yield 0.0, picture(0)
        raise ValueError("decoder")

    source = LiveSource(pictures, "camera", policy="all", lasting=False)
    with pytest.raises(ValueError, match="decoder"):
        run_live(one_person(network), source, out=tmp_path / "live.mp4")
    assert len(list(VideoReader(tmp_path / "live.mp4"))) == 1


def test_a_picture_of_another_size_begins_a_new_window(network):
    stream, fresh = (one_person(network) for _ in range(2))
    for k in range(5):
        stream.push(picture(k, 300, 200), k / 10)
    for k in range(5, 9):
        (answer,), (expected,) = (each.push(picture(k), k / 10) for each in (stream, fresh))
        np.testing.assert_array_equal(answer.probabilities, expected.probabilities)
        np.testing.assert_array_equal(answer.pose.joints, expected.pose.joints)
    assert len(stream) == 4


@pytest.mark.parametrize("form", ["file://{}", "file://localhost{}", "FILE://{}"])
def test_a_file_address_ends_as_the_file_does(video, form):
    address = form.format(quote(str(video)))
    with live_source(address) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(30))
    assert not source.live


def test_a_device_is_a_camera(tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to("/dev/video987")
    for spec in ("/dev/video987", link):
        source = live_source(spec)
        assert source.live
        with pytest.raises(poseact.PoseActError, match=rf"The camera {spec} cannot"), source:
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="a window would open")
def test_no_window_without_a_display(network, video, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    stream = one_person(network)
    with pytest.raises(poseact.PoseActError, match="leave --show out"):
        run_live(stream, live_source(video), show=True)


@pytest.mark.slow(covers=True)
def test_live_command(weights, video, tmp_path, monkeypatch, capsys):
    def run(*arguments):
        arguments = ("live", "--weights", weights, "--people", "one", *arguments)
        monkeypatch.setattr(sys, "argv", ["poseact", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    code, out, err = run("--source", video, "--json")
    assert code == 0
    *answers, summary = map(json.loads, out.splitlines())
    assert summary["frames"] == 30
    assert summary["dropped"] == 0
    assert answers
    assert all(a["label"] != b["label"] for a, b in pairwise(answers))
    assert answers[0]["time"] >= 0.7  # not before there is a whole window

    code, out, err = run("--source", video)
    assert code == 0
    assert LABELS[0] in out or LABELS[1] in out
    assert "30 frames" in err

    code, _, err = run("--source", tmp_path / "none.mp4")
    assert code == 2
    assert "none.mp4" in err
