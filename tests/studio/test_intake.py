"""Videos from a browser: what is kept of them, and what is refused."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from helpers.clips import write_sound, write_video
from poseact import PoseActError
from poseact.media import VideoReader
from poseact.studio import intake
from studio.conftest import pictures

PLACE = "+48.1372+011.5755/"


def write_phone_video(path):
    """A turned MP4 of a variable rate, with a place in its metadata and sound, as phones make."""
    with av.open(str(path), "w", "mp4", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["com.apple.quicktime.location.ISO6709"] = PLACE
        container.metadata["location"] = PLACE
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for number, picture in enumerate(pictures(12)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = 40 * number + (number % 3) * 9, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 16000
        container.mux([*sound.encode(silence), *sound.encode(None)])
    content = path.read_bytes()
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    track = content.index(b"tkhd")
    path.write_bytes(content[:track] + content[track:].replace(matrix, turned, 1))
    return path


def facts(path):
    with VideoReader(path) as reader:
        frames = list(reader)
    times = [round(frame.time, 3) for frame in frames]
    return reader.width, reader.height, reader.rotation, times, frames[3].image


def test_an_upload_keeps_pictures_times_and_turn_but_no_place(tmp_path):
    received = write_phone_video(tmp_path / "received")
    before = facts(received)
    assert PLACE.encode() in received.read_bytes()
    kept = intake.keep_upload(received, tmp_path / "squat" / "video")
    assert kept == tmp_path / "squat" / "video.mp4"
    after = facts(kept)
    assert before[:4] == after[:4]
    assert after[2] == 90
    np.testing.assert_array_equal(before[4], after[4])
    assert b"48.1372" not in kept.read_bytes()
    with av.open(str(kept)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["squat"]


def test_a_recording_is_kept_as_it_came(tmp_path):
    received = write_phone_video(tmp_path / "received")
    content = received.read_bytes()
    kept = intake.keep_recording(received, tmp_path / "squat" / "video")
    assert kept.read_bytes() == content


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mov", ".webm"])
def test_other_containers_are_copied_too(tmp_path, suffix):
    path = tmp_path / f"video{suffix}"
    codec = "libvpx" if suffix == ".webm" else "mpeg4" if suffix == ".avi" else "libx264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.metadata["location"] = stream.metadata["comment"] = PLACE
        for picture in pictures(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    before = facts(path)
    # Without its name nothing tells what it is but its content.
    received = path.rename(tmp_path / "received")
    kept = intake.keep_upload(received, tmp_path / "kept")
    assert facts(kept)[:4] == before[:4]
    assert PLACE.encode() not in kept.read_bytes()


@pytest.mark.parametrize("kind", ["text", "page", "empty", "sound", "one picture", "cut short"])
@pytest.mark.parametrize("keep", [intake.keep_upload, intake.keep_recording])
def test_what_is_no_video_is_refused(tmp_path, kind, keep):
    received = tmp_path / "received"
    content = {
        "text": b"file 'https://evil.example/x.mp4'\n",
        "page": b"<html><script>",
        "empty": b"",
    }
    if kind in content:
        received.write_bytes(content[kind])
    elif kind == "sound":
        write_sound(tmp_path / "sound.m4a").rename(received)
    elif kind == "one picture":
        write_video(tmp_path / "video.mp4", pictures(1)).rename(received)
    else:
        video = write_video(tmp_path / "video.mp4", pictures(8))
        received.write_bytes(video.read_bytes()[:900])
        video.unlink()
    with pytest.raises(PoseActError):
        keep(received, tmp_path / "kept")
    assert not list(tmp_path.glob("kept*"))


def test_a_video_that_is_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "MOST_SECONDS", 0.2)
    received = write_video(tmp_path / "video.mp4", pictures(12))
    with pytest.raises(PoseActError, match="longer than"):
        intake.keep_upload(received, tmp_path / "kept")
    assert not list(tmp_path.glob("kept*"))
