import numpy as np
import pytest

from poseact.media.drawing import SIDE_COLOURS, draw_box, draw_label, draw_pose, draw_side_view
from poseact.skeleton import PA16, PA20, Skeleton

BACKGROUND = 90


def body(skeleton=PA16):
    """A person of about 200 px in a picture of 300 x 300, its right side at the left."""
    across = {"right": 110.0, "left": 190.0, "centre": 150.0}
    heights = {
        **{"head": 50, "neck": 80, "thorax": 95, "shoulder": 95, "elbow": 130, "wrist": 165},
        **{"hand": 175, "pelvis": 160, "hip": 162, "knee": 205, "ankle": 250, "foot": 258},
    }
    joints = [
        (across[skeleton.side(joint)], heights[joint.split("_")[-1]]) for joint in skeleton.joints
    ]
    return np.array(joints, float), np.ones(len(skeleton))


def picture(height=300, width=300):
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def has_colour(image, side):
    return bool((image == SIDE_COLOURS[side]).all(-1).any())


@pytest.mark.parametrize("skeleton", [PA16, PA20], ids=lambda skeleton: skeleton.name)
def test_pose_is_drawn_on_a_copy_in_the_sides_colours(skeleton):
    image = picture()
    out = draw_pose(image, *body(skeleton), skeleton)
    assert (image == BACKGROUND).all()
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    assert has_colour(out[:, :135], "right")
    assert not has_colour(out[:, :135], "left")
    assert has_colour(out[:, 165:], "left")
    assert not has_colour(out[:, 165:], "right")
    assert tuple(out[130, 150]) == SIDE_COLOURS["centre"]
    assert (out[:20] == BACKGROUND).all()


def test_everything_is_drawn_in_place_as_on_a_copy():
    joints, confidence = body()
    image = picture()
    boxed = draw_box(draw_pose(image, joints, confidence, PA16), (60, 40, 240, 270), label="0")
    expected = draw_label(boxed, "jump", (10, 280))
    draw_pose(image, joints, confidence, PA16, in_place=True)
    draw_box(image, (60, 40, 240, 270), label="0", in_place=True)
    draw_label(image, "jump", (10, 280), in_place=True)
    assert (image == expected).all()


def test_joint_is_drawn_where_it_is():
    joints = np.array([[20.0, 30.0]])
    out = draw_pose(picture(60, 80), joints, np.ones(1), Skeleton("one", ("head",)))
    rows, columns = np.nonzero((out != BACKGROUND).any(-1))
    assert rows.mean() == pytest.approx(30, abs=0.6)
    assert columns.mean() == pytest.approx(20, abs=0.6)


def test_joints_below_the_threshold_are_left_out():
    joints, confidence = body()
    confidence[[joint.startswith("left") for joint in PA16.joints]] = 0.2
    out = draw_pose(picture(), joints, confidence, PA16, threshold=0.25)
    assert not has_colour(out, "left")
    assert has_colour(out, "right")
    assert has_colour(draw_pose(picture(), joints, confidence, PA16, threshold=0.1), "left")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 1e5, -1e5])
def test_wild_joints_are_left_out(value):
    joints, confidence = body()
    joints[[joint.startswith("left") for joint in PA16.joints]] = value
    out = draw_pose(picture(), joints, confidence, PA16)
    assert not has_colour(out, "left")
    assert has_colour(out, "right")
    assert (draw_pose(picture(), np.full((16, 2), value), confidence, PA16) == BACKGROUND).all()


def test_unknown_confidence_counts_as_none():
    joints, _ = body()
    assert (draw_pose(picture(), joints, np.full(16, np.nan), PA16) == BACKGROUND).all()


def test_limbs_that_leave_the_picture_are_cut_off():
    joints, confidence = body()
    out = draw_pose(picture(), joints + np.array([120, 0]), confidence, PA16)
    assert has_colour(out, "right")


def test_depth_is_not_looked_at():
    joints, confidence = body()
    deep = np.concatenate([joints, np.full((16, 1), np.nan)], 1)
    np.testing.assert_array_equal(
        draw_pose(picture(), deep, confidence, PA16),
        draw_pose(picture(), joints, confidence, PA16),
    )


def test_larger_person_has_thicker_limbs():
    joints, confidence = body()

    def share(scale):
        size = 300 * scale
        out = draw_pose(picture(size, size), joints * scale, confidence, PA16)
        return (out != BACKGROUND).any(-1).mean()

    assert share(4) == pytest.approx(share(8), rel=0.1)


def test_accepts_read_only_and_transposed_pictures():
    image = np.swapaxes(picture(), 0, 1)
    image.flags.writeable = False
    assert has_colour(draw_pose(image, *body(), PA16), "left")


def test_box():
    image = picture()
    out = draw_box(image, (50, 60, 200, 220), colour=(10, 200, 30))
    assert (image == BACKGROUND).all()
    for row, column in ((60, 100), (220, 100), (100, 50), (100, 200)):
        np.testing.assert_allclose(out[row, column], (10, 200, 30), atol=20)
    assert (out[70:210, 60:190] == BACKGROUND).all()
    captioned = draw_box(image, (50, 60, 200, 220), label="person 0")
    assert (captioned[40:55, 52:80] != BACKGROUND).any()


@pytest.mark.parametrize("box", [(np.nan, 0, 1, 1), (0, 0, np.inf, 5)])
def test_box_that_is_not_finite_is_left_out(box):
    assert (draw_box(picture(), box, label="x") == BACKGROUND).all()


def test_box_far_outside_is_cut_off():
    out = draw_box(picture(), (-1e12, 100, 1e12, 1e12))
    assert (out[100, 20:280] != BACKGROUND).all()
    assert (out[150:250, 20:280] == BACKGROUND).all()


@pytest.mark.parametrize("origin", [(0, 0), (1e9, 1e9), (-50, np.nan)])
@pytest.mark.parametrize("text", ["squat 0.93", "Kniebeuge äß 写", "", "long " * 60])
def test_label_stays_in_the_picture(text, origin):
    image = picture()
    out = draw_label(image, text, origin)
    assert out.shape == image.shape
    assert (out != BACKGROUND).any()
    assert (image == BACKGROUND).all()


def test_label_in_a_tiny_picture():
    assert draw_label(picture(4, 4), "hello").shape == (4, 4, 3)


def test_side_view_shows_depth_to_the_right():
    joints, _ = body()
    depth = np.zeros((16, 1))
    depth[[joint.startswith("left") for joint in PA16.joints]] = 60
    depth[[joint.startswith("right") for joint in PA16.joints]] = -60
    out = draw_side_view(np.concatenate([joints, depth], 1), PA16, size=200)
    assert out.shape == (200, 200, 3)

    def middle(side):
        return np.nonzero((out == SIDE_COLOURS[side]).all(-1))[1].mean()

    assert middle("right") < middle("centre") < middle("left")


def test_side_view_shows_the_head_above():
    skeleton = Skeleton("two", ("head", "left_foot"), (("head", "left_foot"),))
    out = draw_side_view(np.array([[0, 0, 0], [0, 100, 0]]), skeleton, size=100)
    assert tuple(out[12, 50]) == SIDE_COLOURS["centre"]
    assert tuple(out[75, 50]) == SIDE_COLOURS["left"]


def test_side_view_with_an_extent_keeps_its_scale():
    skeleton = Skeleton("two", ("head", "left_foot"), (("head", "left_foot"),))
    joints = np.array([[0, 0, 0], [0, 50.0, 0]])
    out = draw_side_view(joints, skeleton, size=200, extent=200)
    rows = np.nonzero((out == SIDE_COLOURS["left"]).all(-1))[0]
    assert np.ptp(rows) == pytest.approx(50, abs=8)


def test_side_view_leaves_wild_joints_out():
    joints = np.concatenate([*body()[:1], np.zeros((16, 1))], 1)
    joints[3] = np.nan
    joints[5] = 1e30
    assert draw_side_view(joints, PA16, extent=300).shape == (256, 256, 3)
    blank = draw_side_view(np.full((16, 3), np.nan), PA16)
    assert (blank == blank[0, 0]).all()
