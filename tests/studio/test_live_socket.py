"""The live WebSocket: one picture in flight, the newest wins."""

from __future__ import annotations

import io
import struct
import threading

import numpy as np
import pytest
from PIL import Image

import poseact
from helpers.networks import action_network
from poseact.actions.frame_pose import FramePose
from poseact.skeleton import PA16
from poseact.studio import live_socket
from poseact.studio.live_socket import Tally
from poseact.studio.recognisers import Seen
from studio.conftest import HOST

STREAM = f"ws://{HOST}/stream"


def jpeg(value=0, size=(64, 48)):
    content = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(content, "jpeg")
    return content.getvalue()


def seen(label, person=0):
    joints = np.full((16, 2), 10.0)
    joints[3] = np.nan
    pose = FramePose(0, 0.0, person, joints, np.ones(16), np.ones(16, bool), (0, 0, 1, 1))
    return Seen(pose, label, 0.75)


class FakeReader:
    """Tells the grey of a picture, once it may."""

    skeleton, labels, name, window_s = PA16, ("squat",), "fake", 1.0

    def __init__(self):
        self.times, self.may, self.begun = [], threading.Event(), threading.Event()
        self.may.set()

    def reset(self):
        pass

    def push(self, image, time):
        self.begun.set()
        assert self.may.wait(60)
        self.times.append(time)
        return [seen(str(round(int(image[0, 0, 0]), -1)))]


@pytest.fixture
def reader(studio, monkeypatch):
    reader = FakeReader()
    monkeypatch.setattr(studio, "start", lambda: None)
    monkeypatch.setattr(studio.recognisers, "open", lambda choice: reader)
    return reader


def test_a_picture_is_answered(client, reader):
    with client.websocket_connect(STREAM) as socket:
        socket.send_bytes(jpeg(100))
        hello, answer = socket.receive_json(), socket.receive_json()
    assert hello["joints"] == list(PA16.joints)
    assert answer["size"] == [64, 48]
    (person,) = answer["people"]
    assert (person["label"], person["probability"]) == ("100", 0.75)
    assert person["joints"][0] == [10.0, 10.0, 1.0]
    assert person["joints"][3] is None
    assert client.get("/api/live").json()["last"] == answer


def test_of_pictures_that_come_too_fast_the_newest_is_answered(client, reader):
    with client.websocket_connect(STREAM) as socket:
        reader.may.clear()
        socket.send_bytes(jpeg(0))
        assert reader.begun.wait(60)
        for value in (50, 100, 150):
            socket.send_bytes(jpeg(value))
        # An answer to what is no picture comes only after the pictures before it were received.
        reader.may.set()
        answers = [socket.receive_json() for _ in range(3)]
    assert [one["people"][0]["label"] for one in answers[1:]] == ["0", "150"]
    assert answers[2]["dropped"] == 2


def test_the_time_of_a_picture_counts_and_rises(client, reader):
    with client.websocket_connect(STREAM) as socket:
        for time in (5.0, 6.0, 2.0, float("nan")):
            socket.send_bytes(struct.pack(">d", time) + jpeg())
            while socket.receive_json()["type"] != "answer":
                pass
    assert reader.times[:2] == [5.0, 6.0]
    assert reader.times == sorted(reader.times)


@pytest.mark.parametrize(
    "message", [b"", b"x", b"<script>", jpeg()[:100], b"\xff\xd8\xff" + bytes(5_000_000)]
)
def test_what_is_no_picture_is_reported_and_the_next_one_answered(client, reader, message):
    with client.websocket_connect(STREAM) as socket:
        socket.send_bytes(message)
        said = [socket.receive_json(), socket.receive_json()]
        assert said[1]["type"] == "error"
        socket.send_bytes(jpeg(50))
        assert socket.receive_json()["people"][0]["label"] == "50"


def test_texts_are_no_pictures_either(client, reader):
    with client.websocket_connect(STREAM) as socket:
        socket.send_text("hello")
        assert [socket.receive_json()["type"] for _ in range(2)] == ["hello", "error"]


def test_who_sends_nothing_follows_the_others(client, reader):
    with (
        client,
        client.websocket_connect(STREAM) as follower,
        client.websocket_connect(STREAM) as sender,
    ):
        sender.send_bytes(jpeg(100))
        assert follower.receive_json()["people"][0]["label"] == "100"


def test_the_number_of_senders_is_limited(client, reader, monkeypatch):
    monkeypatch.setattr(live_socket, "MOST_SENDERS", 1)
    with (
        client,
        client.websocket_connect(STREAM) as first,
        client.websocket_connect(STREAM) as second,
    ):
        first.send_bytes(jpeg())
        first.receive_json()
        first.receive_json()
        second.send_bytes(jpeg())
        while (said := second.receive())["type"] != "websocket.close":
            pass
        assert said["code"] == 1013
    with client, client.websocket_connect(STREAM) as third:
        third.send_bytes(jpeg())
        assert third.receive_json()["type"] == "hello"


@pytest.mark.slow
def test_new_weights_are_taken_while_the_stream_runs(client, studio):
    def write(*labels):
        poseact.save(action_network(labels), studio.places.trained)

    write("sit", "stand")
    with client.websocket_connect(STREAM) as socket:
        socket.send_bytes(jpeg())
        assert socket.receive_json()["labels"] == ["sit", "stand"]
        assert socket.receive_json()["type"] == "answer"
        write("run", "walk", "sit")
        socket.send_bytes(jpeg())
        assert socket.receive_json()["labels"] == ["run", "walk", "sit"]


def test_an_action_counts_once_each_time_it_is_seen():
    tally = Tally()
    shown = ["squat"] * 20 + ["unknown"] * 10 + ["jump"] * 3 + ["squat"] * 10
    for number, label in enumerate(shown):
        tally.add(number / 10, [seen(label), seen("jump", person=1)])
    # Three pictures of a jump are less than half a second.
    assert tally.counts == {"squat": 2, "jump": 1}
