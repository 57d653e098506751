"""Pictures kept as they were decoded: the same as RGB, and written without a conversion."""

from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from poseact.actions.frame_pose import FramePose
from poseact.inference.canvas import Canvas, draw_people
from poseact.media import VideoReader
from poseact.media.planes import Colours, Planes, converted
from poseact.skeleton import PA16

WIDTH, HEIGHT = 320, 240


def smooth_picture():
    colours = np.random.default_rng(0).integers(60, 200, (5, 6, 3), np.uint8)
    return cv2.resize(colours, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def write(path, *, matrix=1, full=False, pix_fmt="yuv420p", size=(WIDTH, HEIGHT), rotation=0):
    """Three frames of a video with these colours."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        codec = stream.codec_context
        codec.colorspace = codec.color_primaries = codec.color_trc = matrix
        codec.color_range = 2 if full else 1
        picture = cv2.resize(smooth_picture(), size)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=pix_fmt, dst_colorspace=matrix, dst_color_range="JPEG" if full else "MPEG"
            )
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rgb_of(planes):
    return planes.frame.to_ndarray(format="rgb24", dst_color_range="JPEG")


def frames_with_planes(path):
    with VideoReader(path, planes=True) as reader:
        return list(reader)


@pytest.mark.parametrize("matrix", [1, 2, 5, 6])
def test_planes_are_the_picture(tmp_path, matrix):
    for frame in frames_with_planes(write(tmp_path / "a.mp4", matrix=matrix)):
        assert frame.planes.shape == frame.image.shape
        assert np.array_equal(rgb_of(frame.planes), frame.image)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_planes_stand_upright_as_the_picture(tmp_path, monkeypatch, rotation, mirrored):
    monkeypatch.setattr("poseact.media.reader._orientation", lambda _: (rotation, mirrored))
    (frame, *_) = frames_with_planes(write(tmp_path / "a.mp4"))
    height, width = frame.planes.shape[:2]
    assert (width < height) == (rotation != 180)
    assert np.array_equal(rgb_of(frame.planes), frame.image)


@pytest.mark.parametrize(
    "kind", [{"full": True}, {"pix_fmt": "yuv444p"}, {"size": (318, 241), "pix_fmt": "yuv444p"}]
)
def test_other_formats_come_as_rgb_alone(tmp_path, kind):
    with VideoReader(write(tmp_path / "a.mp4", **kind), planes=True) as reader:
        assert [frame.planes for frame in reader] == [None] * 3


@pytest.mark.parametrize("matrix", [1, 2, 5, 6])
def test_a_copy_has_the_colours_of_its_source(tmp_path, matrix):
    frames = frames_with_planes(write(tmp_path / "a.mp4", matrix=matrix))
    with Canvas(tmp_path / "b.mp4", 10) as canvas:
        for frame in frames:
            canvas.write(frame.planes, frame.time)
    with av.open(str(tmp_path / "b.mp4")) as copy:
        codec = copy.streams.video[0].codec_context
        assert Colours(codec.colorspace, codec.color_primaries, codec.color_trc) == (matrix,) * 3
    for source, written in zip(frames, VideoReader(tmp_path / "b.mp4"), strict=True):
        assert written.time == source.time
        difference = np.abs(written.image.astype(int) - source.image)
        assert difference.mean() < 1.5


def people(*places):
    """People of these centres and sizes in px; limbs reach in all directions."""
    joints = np.random.default_rng(1).uniform(-0.5, 0.5, (len(PA16), 3))
    for number, (x, y, size) in enumerate(places):
        own = (joints * size + (x, y, 0)).astype(np.float32)
        box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
        sure = np.ones(len(own), np.float32)
        yield FramePose(0, 0.0, number, own, sure, sure > 0, box, person_box=box)


@pytest.mark.parametrize(
    "places",
    [
        [],
        [(160, 120, 100)],
        [(3, 2, 60)],
        [(318, 236, 50)],
        [(-400, 120, 60)],
        [(160, -30, 80)],
        [(80, 100, 20), (250, 190, 90)],
        [(160, 120, 900)],
        [(160, np.nan, 30)],
    ],
)
@pytest.mark.parametrize("matrix", [1, 5])
def test_people_are_drawn_as_on_rgb(places, matrix):
    colours = Colours(matrix, 1, 1)
    planes = Planes(converted(smooth_picture(), colours), colours)
    predictor = SimpleNamespace(skeleton=PA16)
    names = {0: "a very long name of an action"}
    drawn = draw_people(planes, list(people(*places)), predictor, names=names)
    whole = draw_people(rgb_of(planes), list(people(*places)), predictor, names=names)
    expected = Planes(converted(whole, colours), colours)
    assert np.array_equal(rgb_of(drawn), rgb_of(planes)) == np.array_equal(whole, rgb_of(planes))
    brightness, *chroma = (
        np.abs(one.astype(int) - other)
        for one, other in zip(drawn.layers, expected.layers, strict=True)
    )
    assert brightness.max() <= 6
    # Colours have half the resolution, so that they differ at edges.
    touched = np.abs(expected.layers[0].astype(int) - planes.layers[0])[::2, ::2] > 20
    for difference in chroma:
        assert difference[~touched].mean() < 2
        assert difference[touched].sum() <= 12 * touched.sum()


def test_what_is_not_drawn_on_stays_as_it_was():
    planes = Planes(converted(smooth_picture()))
    before = [layer.copy() for layer in planes.layers]
    (person,) = people((160, 120, 60))
    drawn = draw_people(planes, [person], SimpleNamespace(skeleton=PA16))
    for own, then, now in zip(planes.layers, before, drawn.layers, strict=True):
        assert np.array_equal(own, then)
        y, x = np.argwhere(now != then).T * (HEIGHT // len(now))
        assert 120 < x.min() < x.max() - 55 < 145
        assert y.max() < 160
