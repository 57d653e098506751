"""Skeletons: order, mirror pairs, conversions by name."""

from __future__ import annotations

import numpy as np
import pytest

from poseact.skeleton import LSP14, PA16, PA17, PA20, SKELETONS, Skeleton


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=str)
def test_mirroring_twice_changes_nothing(skeleton):
    flip = np.array(skeleton.flip_indices)
    assert np.array_equal(flip[flip], np.arange(len(skeleton)))
    for a, b in enumerate(flip):
        sides = {skeleton.side(skeleton.joints[a]), skeleton.side(skeleton.joints[b])}
        assert sides in ({"left", "right"}, {"centre"})


def test_paper_layouts_follow_the_specification():
    # network-spec section 9: pairs (4, 5), (6, 7) … swap, right first.
    assert PA16.flip_indices == (0, 1, 2, 3, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
    assert PA16.joints[4] == "right_shoulder"
    assert (len(PA17), PA17.joints[16]) == (17, "spine")
    assert len(PA20) == 20
    assert PA20.joints[10:12] == ("right_hand", "left_hand")
    assert PA20.joints[18:] == ("right_foot", "left_foot")


def test_conversion_by_name_masks_what_is_missing():
    joints = np.arange(28, dtype=float).reshape(14, 2)
    valid = np.ones(14, bool)
    valid[LSP14.index("left_hip")] = False
    out, out_valid = LSP14.convert(joints, valid, PA17)
    assert np.array_equal(out[PA17.index("right_knee")], joints[LSP14.index("right_knee")])
    middle = joints[[LSP14.index("right_shoulder"), LSP14.index("left_shoulder")]].mean(0)
    assert np.array_equal(out[PA17.index("thorax")], middle)
    for missing in ("spine", "pelvis", "left_hip"):
        assert not out_valid[PA17.index(missing)]
    assert out_valid.sum() == 14  # 13 labelled ones and the thorax


def test_conversion_keeps_leading_axes():
    joints = np.random.default_rng(0).normal(size=(3, 5, 16, 3))
    valid = np.ones((3, 5, 16), bool)
    out, out_valid = PA16.convert(joints, valid, LSP14)
    back, back_valid = LSP14.convert(out, out_valid, PA16)
    assert out.shape == (3, 5, 14, 3)
    kept = [PA16.index(joint) for joint in LSP14.joints]
    assert np.array_equal(back[..., kept, :], joints[..., kept, :])
    assert back_valid[..., kept].all()


def test_generic_skeleton_has_no_sides():
    assert Skeleton.generic(3).flip_indices == (0, 1, 2)
