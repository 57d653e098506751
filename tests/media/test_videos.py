"""Videos: read upright with their times, written whole."""

import logging
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from helpers.quarters import BLACK, BLUE, GREEN, RED, corners, quarters
from poseact._utils.errors import PoseActError
from poseact.media import (
    VideoReader,
    VideoWriter,
)


def write_video(path, count=12, fps=10, times=None, image=None):
    image = quarters() if image is None else image
    with VideoWriter(path, fps, image.shape[1], image.shape[0]) as writer:
        for index in range(count):
            writer.write(image, None if times is None else times[index])
    return path


def write_noise(path, count=60):
    """A video that compresses badly, so that its packets are of like size."""
    rng = np.random.default_rng(0)
    with VideoWriter(path, 10, 64, 48) as writer:
        for _ in range(count):
            writer.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    return path


def encode(path, count=20, rate=25, aspect=None, without_times=False, moving=False):
    """A video as other programs write them, with B-frames where the container has them."""
    rng = np.random.default_rng(0)
    options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        bframes = "0" if without_times or path.suffix == ".avi" else "2"
        stream = container.add_stream("libx264", rate=rate, options={"bf": bframes})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number in range(count):
            image = rng.integers(0, 256, (48, 64, 3), np.uint8) if moving else quarters()
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            mux(container, stream.encode(frame), without_times)
        mux(container, stream.encode(None), without_times)
    return path


def mux(container, packets, without_times):
    for packet in packets:
        if without_times:
            packet.pts = packet.dts = None
        container.mux(packet)


def with_threads(count, opened=av.open):
    """``av.open`` on a machine of so many cores."""

    def open_with_threads(*arguments, **options):
        container = opened(*arguments, **options)
        for stream in container.streams.video:
            stream.codec_context.thread_count = count
        return container

    return open_with_threads


def grey_levels(path):
    with VideoReader(path) as reader:
        return [float(frame.image.mean()) for frame in reader]


def with_matrix(path, a, b, c, d):
    """Patch the display matrix in the track header of an MP4."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    assert struct.unpack(">9i", data[start : start + 36])[::4] == (1 << 16, 1 << 16, 1 << 30)
    values = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[start : start + 36] = struct.pack(">9i", *values)
    path.write_bytes(data)
    return path


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


class TestRoundTrip:
    @pytest.mark.parametrize("fps", [10, 25, Fraction(30000, 1001), Fraction(24000, 1001), 12.5])
    def test_count_rate_and_times(self, tmp_path, fps):
        path = write_video(tmp_path / "a film ä.mp4", count=15, fps=fps)
        with VideoReader(path) as reader:
            assert reader.fps == Fraction(fps)
            assert reader.frame_count == 15
            assert (reader.width, reader.height, reader.rotation) == (64, 48, 0)
            frames = list(reader)
        assert [frame.index for frame in frames] == list(range(15))
        np.testing.assert_allclose([frame.time for frame in frames], np.arange(15) / float(fps))
        assert all(corners(frame.image) == [RED, GREEN, BLUE, BLACK] for frame in frames)
        assert frames[0].image.flags.c_contiguous

    def test_variable_rate(self, tmp_path):
        times = [5.0, 5.04, 5.1, 5.5, 5.53, 5.53, 6.0]
        path = write_video(tmp_path / "a.mp4", count=7, fps=30, times=times)
        read = [frame.time for frame in VideoReader(path)]
        expected = [0, 0.04, 0.1, 0.5, 0.53, 0.53, 1.0]
        np.testing.assert_allclose(read, expected, atol=1e-4)
        assert read[5] > read[4]

    def test_copy_keeps_rate_of_a_variable_source(self, tmp_path):
        times = np.random.default_rng(0).uniform(0.02, 0.2, 40).cumsum()
        source = write_video(tmp_path / "a.mp4", count=40, fps=20, times=times)
        with VideoReader(source) as reader:
            with VideoWriter(tmp_path / "b.mp4", reader.fps, 64, 48) as writer:
                for frame in reader:
                    writer.write(frame.image, frame.time)
            copy = VideoReader(tmp_path / "b.mp4")
            assert copy.frame_count == reader.frame_count
            assert float(copy.fps) == pytest.approx(float(reader.fps), rel=0.02)
            assert float(copy.fps) == pytest.approx(39 / (times[-1] - times[0]), rel=0.02)
            np.testing.assert_allclose(
                [frame.time for frame in copy], [frame.time for frame in reader], atol=1e-4
            )

    def test_frames_are_in_order_and_colours_kept(self, tmp_path):
        with VideoWriter(tmp_path / "a.mp4", 10, 64, 48) as writer:
            for level in range(0, 250, 10):
                writer.write(np.full((48, 64, 3), level, np.uint8))
        np.testing.assert_allclose(grey_levels(tmp_path / "a.mp4"), range(0, 250, 10), atol=2)
        colour = np.full((48, 64, 3), (200, 120, 40), np.uint8)
        path = write_video(tmp_path / "b.mp4", count=2, image=colour)
        for frame in VideoReader(path):
            np.testing.assert_allclose(frame.image.mean((0, 1)), (200, 120, 40), atol=3)

    def test_odd_size_is_padded(self, tmp_path):
        path = write_video(tmp_path / "a.mp4", image=quarters(63, 47))
        reader = VideoReader(path)
        assert (reader.width, reader.height) == (64, 48)
        assert corners(next(iter(reader)).image) == [RED, GREEN, BLUE, BLACK]

    def test_one_frame(self, tmp_path):
        assert len(list(VideoReader(write_video(tmp_path / "a.mp4", count=1)))) == 1

    def test_header_comes_first(self, tmp_path):
        data = write_video(tmp_path / "a.mp4").read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")


class TestReader:
    @pytest.mark.parametrize(
        ("matrix", "rotation", "mirrored", "expected"),
        [
            ((0, 1, -1, 0), 90, False, [BLUE, RED, BLACK, GREEN]),
            ((-1, 0, 0, -1), 180, False, [BLACK, BLUE, GREEN, RED]),
            ((0, -1, 1, 0), 270, False, [GREEN, BLACK, RED, BLUE]),
            ((-1, 0, 0, 1), 0, True, [GREEN, RED, BLACK, BLUE]),
            ((0, 1, 1, 0), 90, True, [RED, BLUE, GREEN, BLACK]),
        ],
    )
    def test_rotation(self, tmp_path, matrix, rotation, mirrored, expected):
        reader = VideoReader(with_matrix(write_video(tmp_path / "a.mp4"), *matrix))
        assert (reader.rotation, reader.mirrored) == (rotation, mirrored)
        frames = list(reader)
        assert len(frames) == 12
        for frame in frames:
            assert frame.image.shape == (reader.height, reader.width, 3)
            assert corners(frame.image) == expected
        assert (reader.width, reader.height) == ((48, 64) if rotation in (90, 270) else (64, 48))

    def test_iterations_are_independent_and_closing_ends_them(self, tmp_path):
        with VideoReader(write_video(tmp_path / "a.mp4")) as reader:
            first = iter(reader)
            assert [next(first).index, next(first).index] == [0, 1]
            assert [frame.index for frame in reader] == list(range(12))
            assert next(first).index == 2
        assert list(first) == []

    @pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.gif", "a:b 50%.mov"])
    def test_other_containers(self, tmp_path, name):
        codec, pixels = ("gif", "rgb8") if name.endswith("gif") else ("mpeg4", "yuv420p")
        # The temporary name is plain: PyAV would take the colon for a protocol.
        plain = tmp_path / f"plain{Path(name).suffix}"
        with av.open(str(plain), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
            for level in range(0, 240, 20):
                image = np.full((48, 64, 3), level, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        path = plain.rename(tmp_path / name)
        reader = VideoReader(path)
        frames = list(reader)
        assert len(frames) == 12
        assert reader.frame_count in (None, 12)
        np.testing.assert_allclose([frame.time for frame in frames], np.arange(12) / 10, atol=0.002)

    @pytest.mark.parametrize("fps", [240, 500, 1000])
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts"])
    def test_high_speed_rates_are_reported_as_such(self, tmp_path, name, fps):
        encode(tmp_path / name, rate=fps)
        reader = VideoReader(tmp_path / name)
        assert reader.fps == fps
        np.testing.assert_allclose([frame.time for frame in reader], np.arange(20) / fps, atol=6e-4)

    def test_frames_without_times_run_at_the_rate_of_the_pictures(self, tmp_path):
        encode(tmp_path / "a.mp4", rate=25, without_times=True)
        assert VideoReader(tmp_path / "a.mp4").fps == 25

    @pytest.mark.parametrize(
        ("aspect", "size"),
        [
            (Fraction(3, 2), (96, 48)),
            (Fraction(2, 3), (64, 72)),
            (Fraction(1), (64, 48)),
            (Fraction(1, 99), (64, 48)),
        ],
    )
    def test_pixels_become_square(self, tmp_path, aspect, size):
        encode(tmp_path / "a.mp4", aspect=aspect)
        reader = VideoReader(tmp_path / "a.mp4")
        frames = list(reader)
        assert (reader.width, reader.height) == size
        assert {frame.image.shape for frame in frames} == {(size[1], size[0], 3)}
        assert corners(frames[0].image) == [RED, GREEN, BLUE, BLACK]
        assert next(iter(VideoReader(tmp_path / "a.mp4", square_pixels=False))).image.shape == (
            *(48, 64, 3),
        )

    def test_pixels_of_a_turned_video_become_square(self, tmp_path):
        encode(tmp_path / "a.mp4", aspect=Fraction(3, 2))
        reader = VideoReader(with_matrix(tmp_path / "a.mp4", 0, 1, -1, 0))
        assert (reader.width, reader.height) == (48, 96)

    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.flv", "a.avi"])
    @pytest.mark.parametrize("share", [0.35, 0.5, 0.8])
    def test_a_file_cut_in_half_gives_the_same_frames_on_any_number_of_cores(
        self, tmp_path, caplog, monkeypatch, name, share
    ):
        path = encode(tmp_path / name, count=72, moving=True)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        counts = {}
        for threads in (1, 2, 3, 8):
            monkeypatch.setattr(av, "open", with_threads(threads))
            caplog.clear()
            with caplog.at_level(logging.WARNING, "poseact.media"):
                counts[threads] = len(list(VideoReader(path)))
            # What FLV says of its length is only nearly right.
            assert re.search(rf"\b{counts[threads]} of 7[24] frames", caplog.text)
        assert len(set(counts.values())) == 1
        assert 0 < counts[1] < 72

    def test_a_whole_file_is_read_without_a_warning(self, tmp_path, caplog):
        for name in ("a.mp4", "a.mkv", "a.flv", "a.avi"):
            assert len(list(VideoReader(encode(tmp_path / name, count=72)))) == 72
        assert not caplog.text

    def test_damaged_packets_are_skipped(self, tmp_path, caplog):
        path = write_noise(tmp_path / "a.mp4")
        with av.open(str(path)) as container:
            packets = [packet for packet in container.demux() if packet.size]
            holes = [(packet.pos, packet.size) for packet in packets[20:23]]
        data = bytearray(path.read_bytes())
        for start, size in holes:
            data[start : start + size] = b"\xff" * size
        path.write_bytes(data)
        with caplog.at_level(logging.WARNING, "poseact.media"):
            frames = list(VideoReader(path))
        assert 50 <= len(frames) < 60
        assert frames[-1].time == pytest.approx(5.9)
        assert [frame.index for frame in frames] == list(range(len(frames)))
        assert "3 damaged packets" in caplog.text

    def test_cut_short(self, tmp_path):
        path = write_noise(tmp_path / "a.mp4")
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
        assert 30 <= len(list(VideoReader(path))) < 40

    def test_no_header(self, tmp_path):
        data = write_video(tmp_path / "a.mp4").read_bytes()
        (tmp_path / "a.mp4").write_bytes(data[: data.index(b"moov")])
        with pytest.raises(PoseActError, match=r"a\.mp4 is not a video"):
            VideoReader(tmp_path / "a.mp4")

    def test_no_frame_left(self, tmp_path):
        path = write_video(tmp_path / "a.mp4")
        data = path.read_bytes()
        path.write_bytes(data[: data.index(b"mdat") + 4])
        with pytest.raises(PoseActError, match=r"a\.mp4 holds no frame"):
            VideoReader(path)

    def test_what_is_no_video(self, tmp_path):
        (tmp_path / "empty.mp4").touch()
        (tmp_path / "text.mp4").write_text("just text\n" * 200)
        for name in ("empty", "text"):
            with pytest.raises(PoseActError, match=f"{name}.mp4 is not a video"):
                VideoReader(tmp_path / f"{name}.mp4")
        for path in (tmp_path / "none.mp4", tmp_path):
            with pytest.raises(PoseActError, match="no video file"):
                VideoReader(path)

    def test_sound_only(self, tmp_path):
        path = tmp_path / "a.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=44100, layout="mono")
            sound = av.AudioFrame.from_ndarray(
                np.zeros((1, 44100), np.float32), format="fltp", layout="mono"
            )
            sound.sample_rate = 44100
            container.mux(stream.encode(sound))
            container.mux(stream.encode(None))
        with pytest.raises(PoseActError, match="no video stream"):
            VideoReader(path)


class TestWriter:
    def test_exception_leaves_the_old_file(self, tmp_path):
        path = write_video(tmp_path / "a.mp4")
        before = path.read_bytes()

        def interrupted():
            with VideoWriter(path, 10, 64, 48) as writer:
                writer.write(quarters())
                raise KeyError("user code")

        with pytest.raises(KeyError):
            interrupted()
        assert path.read_bytes() == before
        assert files_in(tmp_path) == ["a.mp4"]

    def test_a_recoverable_video_can_be_played_while_it_is_written(self, tmp_path):
        path, copy = tmp_path / "a.mp4", tmp_path / "copy.mp4"
        with VideoWriter(path, 10, 64, 48, recoverable=True) as writer:
            for _ in range(60):
                writer.write(quarters())
            # What would be left if the process were killed now.
            (partial,) = tmp_path.glob("a.unfinished-*.mp4")
            copy.write_bytes(partial.read_bytes())
        assert 20 < len(list(VideoReader(copy))) < 60
        assert len(list(VideoReader(path))) == 60
        assert files_in(tmp_path) == ["a.mp4", "copy.mp4"]

    def test_a_recoverable_video_stays_when_the_block_fails(self, tmp_path):
        def interrupted():
            with VideoWriter(tmp_path / "a.mp4", 10, 64, 48, recoverable=True) as writer:
                for _ in range(60):
                    writer.write(quarters())
                raise KeyError("user code")

        with pytest.raises(KeyError):
            interrupted()
        (kept,) = tmp_path.iterdir()
        assert len(list(VideoReader(kept))) > 20
        path = tmp_path / "b.mp4"
        empty = VideoWriter(path, 10, 64, 48, recoverable=True)
        with pytest.raises(PoseActError, match="No frame"), empty:
            pass
        assert list(tmp_path.iterdir()) == [kept]

    def test_no_frame_leaves_the_old_file(self, tmp_path):
        path = write_video(tmp_path / "a.mp4")
        before = path.read_bytes()
        with pytest.raises(PoseActError, match="No frame"), VideoWriter(path, 10, 64, 48):
            pass
        assert path.read_bytes() == before
        assert files_in(tmp_path) == ["a.mp4"]

    def test_reading_and_replacing_the_same_file(self, tmp_path):
        path = write_video(tmp_path / "a.mp4")
        with VideoReader(path) as reader, VideoWriter(path, 10, 64, 48) as writer:
            for frame in reader:
                writer.write(frame.image, frame.time)
        assert len(list(VideoReader(path))) == 12

    @pytest.mark.parametrize(
        "picture",
        [
            np.zeros((48, 63, 3), np.uint8),
            np.zeros((48, 64), np.uint8),
            np.zeros((48, 64, 3), np.float32),
        ],
    )
    def test_misfit_picture(self, tmp_path, picture):
        with pytest.raises(PoseActError), VideoWriter(tmp_path / "a.mp4", 10, 64, 48) as writer:
            writer.write(picture)
        assert files_in(tmp_path) == []

    def test_misfit_time(self, tmp_path):
        with pytest.raises(PoseActError), VideoWriter(tmp_path / "a.mp4", 10, 64, 48) as writer:
            writer.write(quarters(), float("nan"))

    @pytest.mark.parametrize(("fps", "width"), [(0, 64), (float("nan"), 64), (10, 0)])
    def test_bad_size_or_rate(self, tmp_path, fps, width):
        with pytest.raises(PoseActError, match="above 0"):
            VideoWriter(tmp_path / "a.mp4", fps, width, 48)

    def test_bad_place(self, tmp_path):
        with pytest.raises(PoseActError, match=r"\.mp4"):
            VideoWriter(tmp_path / "a.avi", 10, 64, 48)
        (tmp_path / "file").touch()
        with (
            pytest.raises(PoseActError, match="could not be written"),
            VideoWriter(tmp_path / "file" / "a.mp4", 10, 64, 48),
        ):
            pass
