import logging
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from poseact._utils.errors import PoseActError
from poseact.media import (
    VideoReader,
    VideoWriter,
    find_media,
    read_image,
    write_image,
)

RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)


def quarters(width=64, height=48):
    """Red and green above, blue and black below."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = RED
    image[: height // 2, width // 2 :] = GREEN
    image[height // 2 :, : width // 2] = BLUE
    return image


def corners(image):
    """The colours of the four quarters' middles, row by row."""
    height, width = image.shape[:2]
    return [
        tuple(int(round(value / 255) * 255) for value in image[y, x].tolist())
        for y in (height // 4, 3 * height // 4)
        for x in (width // 4, 3 * width // 4)
    ]


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


def with_threads(count):
    original = VideoReader._stream

    def stream(reader, container):
        found = original(reader, container)
        found.codec_context.thread_count = count
        return found

    return stream


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


def exif_orientation(jpeg, orientation):
    tiff = b"MM\x00*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


class TestFindMedia:
    def test_folder_is_searched_in_natural_order(self, tmp_path):
        names = ("b10.jpg", "b2.PNG", "a/x.mp4", "a/.hidden.jpg", "notes.txt", "ä b.webm")
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        found = [path.relative_to(tmp_path).as_posix() for path in find_media(tmp_path)]
        assert found == ["a/x.mp4", "b2.PNG", "b10.jpg", "ä b.webm"]

    def test_file_gives_itself(self, tmp_path):
        path = tmp_path / "A.JPG"
        path.touch()
        assert find_media(path) == [path]

    def test_refusals(self, tmp_path):
        (tmp_path / "x.txt").touch()
        with pytest.raises(PoseActError, match="holds no picture"):
            find_media(tmp_path)
        with pytest.raises(PoseActError, match=r"x\.txt.*\.mp4"):
            find_media(tmp_path / "x.txt")
        with pytest.raises(PoseActError, match="no file or folder"):
            find_media(tmp_path / "none")

    def test_links_to_folders_are_followed_and_loops_end(self, tmp_path):
        source, other = tmp_path / "in", tmp_path / "elsewhere"
        for path in (source / "real" / "a.mp4", other / "day1" / "b.mp4", other / ".x" / "c.mp4"):
            path.parent.mkdir(parents=True)
            path.touch()
        (source / "day1").symlink_to(other / "day1")
        (source / "again").symlink_to(source / "real")
        (other / "day1" / "round").symlink_to(source)
        (source / "real" / "up").symlink_to("..")
        (source / "d.mp4").symlink_to(other / "day1" / "b.mp4")
        (source / "e.mp4").symlink_to("nowhere.mp4")
        found = [path.relative_to(source).as_posix() for path in find_media(source)]
        assert found == ["d.mp4", "day1/b.mp4", "e.mp4", "real/a.mp4"]

    def test_results_below_the_folder_are_left_out(self, tmp_path):
        for name in ("a.png", "out/a_pose.png", "out/deep/b.png"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        assert [path.name for path in find_media(tmp_path, tmp_path / "out")] == ["a.png"]
        assert len(find_media(tmp_path, tmp_path)) == 3
        assert len(find_media(tmp_path / "out", tmp_path)) == 2

    def test_files_of_other_kinds_are_named(self, tmp_path, caplog):
        for name in ("a.png", "b.heic", "c.ts", "deep/d.avif", ".hidden"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        assert [path.name for path in find_media(tmp_path)] == ["a.png"]
        assert "3 files" in caplog.text
        for name in ("b.heic", "c.ts", "deep/d.avif"):
            assert name in caplog.text
        assert ".hidden" not in caplog.text


def gradient(levels):
    row = np.linspace(0, levels - 1, 64)
    return np.tile(row[None, :, None], (16, 1, 3))


def packed_tiff(image, bits):
    """A TIFF of any number of bits, which OpenCV cannot write."""
    height, width, channels = image.shape
    numbers = image.reshape(height, -1).astype(int)
    texts = ("".join(f"{number:0{bits}b}" for number in row) for row in numbers)
    data = b"".join(int(t, 2).to_bytes(len(t) // 8) for t in texts)
    tags = {256: width, 257: height, 259: 1, 262: 2, 277: channels, 278: height, 279: len(data)}
    end = 8 + 2 + 12 * (len(tags) + 2) + 4
    entries = {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()}
    entries[258] = struct.pack("<HHII", 258, 3, channels, end)
    entries[273] = struct.pack("<HHII", 273, 4, 1, end + 2 * channels)
    directory = b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + directory + struct.pack("<H", bits) * channels + data


class TestImages:
    @pytest.mark.parametrize("suffix", [".png", ".tiff"])
    @pytest.mark.parametrize("bits", [12, 16])
    @pytest.mark.parametrize("grey", [True, False])
    def test_numbers_of_more_bits_keep_their_brightness(self, tmp_path, suffix, bits, grey):
        image = gradient(2**bits).astype(np.uint16)
        cv2.imwrite(str(tmp_path / f"a{suffix}"), image[..., 0] if grey else image)
        np.testing.assert_allclose(read_image(tmp_path / f"a{suffix}"), gradient(256), atol=1)

    @pytest.mark.parametrize("bits", [10, 12, 14])
    def test_tiff_of_any_number_of_bits(self, tmp_path, bits):
        (tmp_path / "a.tif").write_bytes(packed_tiff(gradient(2**bits), bits))
        np.testing.assert_allclose(read_image(tmp_path / "a.tif"), gradient(256), atol=1)

    def test_dim_picture_of_16_bits_stays_dim(self, tmp_path):
        cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 51 * 257, np.uint16))
        assert (read_image(tmp_path / "a.png") == 51).all()

    def test_floating_point_tiff(self, tmp_path):
        image = (gradient(256) / 255).astype(np.float32)
        image[0, 0] = np.nan
        cv2.imwrite(str(tmp_path / "a.tiff"), image)
        np.testing.assert_allclose(read_image(tmp_path / "a.tiff")[1:], gradient(256)[1:], atol=1)

    @pytest.mark.parametrize("name", ["a.png", "späße 写真.JPG", "new folder/x.jpeg"])
    def test_round_trip(self, tmp_path, name):
        write_image(tmp_path / name, quarters())
        read = read_image(tmp_path / name)
        assert read.dtype == np.uint8
        assert read.shape == (48, 64, 3)
        assert corners(read) == [RED, GREEN, BLUE, BLACK]

    @pytest.mark.parametrize(
        ("orientation", "expected"),
        [
            (1, [RED, GREEN, BLUE, BLACK]),
            (3, [BLACK, BLUE, GREEN, RED]),
            (6, [BLUE, RED, BLACK, GREEN]),
            (8, [GREEN, BLACK, RED, BLUE]),
        ],
    )
    def test_exif_orientation(self, tmp_path, orientation, expected):
        write_image(tmp_path / "a.jpg", quarters())
        (tmp_path / "b.jpg").write_bytes(
            exif_orientation((tmp_path / "a.jpg").read_bytes(), orientation)
        )
        read = read_image(tmp_path / "b.jpg")
        assert read.shape == ((64, 48, 3) if orientation in (6, 8) else (48, 64, 3))
        assert corners(read) == expected

    @pytest.mark.parametrize(
        "stored",
        [
            np.full((6, 8), 128, np.uint8),
            np.full((6, 8, 4), 128, np.uint8),
            np.full((6, 8, 3), 128 * 257, np.uint16),
            np.full((6, 8), 128 * 257, np.uint16),
        ],
        ids=["grey", "rgba", "rgb16", "grey16"],
    )
    def test_other_kinds_of_png(self, tmp_path, stored):
        (tmp_path / "a.png").write_bytes(cv2.imencode(".png", stored)[1].tobytes())
        read = read_image(tmp_path / "a.png")
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, np.full((6, 8, 3), 128))

    def test_what_is_no_picture(self, tmp_path):
        (tmp_path / "empty.jpg").touch()
        (tmp_path / "text.png").write_text("hello")
        write_image(tmp_path / "a.png", quarters())
        (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:30])
        for name in ("empty.jpg", "text.png", "cut.png"):
            with pytest.raises(PoseActError, match=name):
                read_image(tmp_path / name)
        with pytest.raises(PoseActError, match="could not be read"):
            read_image(tmp_path / "none.png")

    def test_a_damaged_picture_is_reported_in_our_words_only(self, tmp_path, capfd):
        path = tmp_path / "damaged.tif"
        path.write_bytes(b"II*\0" + b"x" * 50)
        with pytest.raises(PoseActError, match="not a picture"):
            read_image(path)
        assert capfd.readouterr() == ("", "")

    def test_bad_writes_leave_the_old_file(self, tmp_path, monkeypatch):
        path = tmp_path / "a.png"
        write_image(path, quarters())
        before = path.read_bytes()
        with pytest.raises(PoseActError, match="uint8"):
            write_image(path, np.zeros((4, 4, 3), np.float32))

        def fail(self, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", fail)
        with pytest.raises(PoseActError, match="No space left"):
            write_image(path, np.zeros((4, 4, 3), np.uint8))
        assert path.read_bytes() == before
        assert files_in(tmp_path) == ["a.png"]

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(PoseActError, match=r"a\.gif"):
            write_image(tmp_path / "a.gif", quarters())


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
            monkeypatch.setattr(VideoReader, "_stream", with_threads(threads))
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
