"""Pictures and videos that are small files of giant size, or name other files."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from poseact import PoseActError
from poseact.media import VideoReader, decode_image


def png(width, height):
    """A black picture of one bit per pixel."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(32752, 8000), (8000, 8000), (30000, 30000)])
def test_giant_pictures(size):
    with pytest.raises(PoseActError, match=r"px or more in .* bytes, but at most"):
        decode_image(png(*size), "file a.png")


def test_giant_headers_of_other_formats():
    picture = np.zeros((8, 8, 3), np.uint8)
    jpeg = bytearray(cv2.imencode(".jpg", picture)[1].tobytes())
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">2H", 30000, 30000)
    bmp = bytearray(cv2.imencode(".bmp", picture)[1].tobytes())
    bmp[18:26] = struct.pack("<2i", 30000, 30000)
    tiff = cv2.imencode(".tif", picture)[1].tobytes()
    sides = struct.pack("<2HI", 256, 3, 1), struct.pack("<2HI", 257, 3, 1)
    for side in sides:
        place = tiff.index(side) + len(side)
        tiff = tiff[:place] + struct.pack("<H", 30000) + tiff[place + 2 :]
    for content in (jpeg, bmp, tiff):
        with pytest.raises(PoseActError, match="but at most"):
            decode_image(bytes(content), "file a")


def test_large_pictures_with_the_bytes_of_large_pictures():
    assert decode_image(png(4000, 3000), "file a.png").shape == (3000, 4000, 3)


def write_video(path, width=64, height=48, **metadata):
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata)
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.slow(covers=True)
def test_giant_videos(tmp_path):
    write_video(tmp_path / "a.mkv", 8192, 4096)
    with pytest.raises(PoseActError, match=r"8192 x 4096 px in .* bytes, but at most"):
        VideoReader(tmp_path / "a.mkv")


@pytest.mark.parametrize("suffix", ["mkv", "avi", "mp4"])
def test_titles_that_are_no_utf8(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write_video(path, title="Ubung")
    path.write_bytes(path.read_bytes().replace(b"Ubung", "Übung".encode("latin1")))
    assert sum(1 for _ in VideoReader(path)) == 3


@pytest.mark.parametrize(
    "text", ["ffconcat version 1.0\nfile a.mp4\n", "#EXTM3U\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n"]
)
def test_a_video_names_no_other_files(tmp_path, text):
    write_video(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text(text)
    with pytest.raises(PoseActError, match=r"cannot be|can be opened"):
        VideoReader(tmp_path / "b.mp4")


@pytest.mark.parametrize("times", [[0, 100, 200, 10**9, 10**9 + 100], [10**9, 10**9 + 40]])
def test_frames_at_uneven_times_are_all_there(times, tmp_path, caplog):
    """Their number by the length of the video and its rate is far too large."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoReader(path) as video:
        found = [round(1000 * frame.time) for frame in video]
        assert video.frame_count > 10**6
    assert found == [time - times[0] for time in times]
    assert "could be read" not in caplog.text
