"""Pictures: found, read upright, written whole."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.quarters import BLACK, BLUE, GREEN, RED, corners, quarters
from poseact._utils.errors import PoseActError
from poseact.media import (
    find_media,
    read_image,
    write_image,
)


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
