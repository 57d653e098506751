"""Skeletons: order, mirror pairs, conversions by name."""

from __future__ import annotations

import numpy as np
import pytest

from poseact._utils.errors import PoseActError
from poseact.skeleton import (
    BLAZEPOSE33,
    COCO17,
    H36M17,
    H36M32,
    H36M32_PAPER,
    LSP14,
    MPI3DHP17,
    MPII16,
    NTU25,
    NTU25_PAPER,
    PA16,
    PA17,
    PA20,
    PENN13,
    PENN13_PAPER,
    SKELETONS,
    Skeleton,
)


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


# network-spec section 9, "Layouts".
PAPER_MAPS = {
    "pa16 from mpii": (MPII16, PA16, "6 7 8 9 12 13 11 14 10 15 2 3 1 4 0 5"),
    "pa16 to mpii": (PA16, MPII16, "14 12 10 11 13 15 0 1 2 3 8 6 4 5 7 9"),
    "pa16 to penn13": (PA16, PENN13_PAPER, "3 4 5 6 7 8 9 10 11 12 13 14 15"),
    "pa17 from h36m": (H36M32_PAPER, PA17, "0 12 13 15 25 17 26 18 27 19 1 6 2 7 3 8 11"),
    "pa17 from ntu": (NTU25_PAPER, PA17, "0 20 2 3 4 8 5 9 6 10 12 16 13 17 14 18 1"),
    "pa20 from ntu": (
        NTU25_PAPER,
        PA20,
        "0 20 2 3 4 8 5 9 6 10 7 11 12 16 13 17 14 18 15 19",
    ),
}


@pytest.mark.parametrize("name", PAPER_MAPS)
def test_conversion_by_name_is_the_paper_s_map(name):
    source, target, numbers = PAPER_MAPS[name]
    indices = np.arange(len(source), dtype=float)[:, None]
    out, valid = source.convert(indices, np.ones(len(source), bool), target)
    assert valid.all()
    assert out[:, 0].tolist() == [int(number) for number in numbers.split()]


def test_h36m17_is_the_usual_part_of_the_32():
    # As in the evaluations of Martinez et al., 2017, and Pavllo et al., 2019.
    usual = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
    assert H36M17.joints == tuple(H36M32.joints[index] for index in usual)
    assert H36M32.unfillable(H36M17) == ()


def test_anatomical_names_keep_to_the_person_and_the_place():
    # Kinect's joint 4 is the person's left shoulder, Human3.6M's 12 the middle of the back.
    assert NTU25.index("left_shoulder") == 4
    assert H36M32.index("spine") == 12
    assert PENN13.joints[1:3] == ("left_shoulder", "right_shoulder")
    thorax, valid = H36M32.convert(np.arange(32.0)[:, None], np.ones(32, bool), PA16)
    shoulders = [H36M32.index(f"{side}_shoulder") for side in ("right", "left")]
    assert thorax[PA16.index("thorax"), 0] == np.mean(shoulders)
    assert valid.all()


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (COCO17, PA16, ("neck", "head")),
        (BLAZEPOSE33, PA16, ("neck", "head")),
        (PENN13, PA16, ("neck",)),
        (LSP14, PA17, ("spine",)),
        (MPII16, COCO17, COCO17.joints[:5]),
        (MPI3DHP17, PA17, ()),
        (NTU25, PA20, ()),
        (BLAZEPOSE33, COCO17, ()),
    ],
)
def test_unfillable_joints_are_masked(source, target, expected):
    assert source.unfillable(target) == expected
    joints = np.ones((len(source), 2))
    _, valid = source.convert(joints, np.ones(len(source), bool), target)
    missing = tuple(j for j, known in zip(target.joints, valid, strict=True) if not known)
    assert missing == expected


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=str)
def test_limbs_are_mirrored_too(skeleton):
    flip = skeleton.flip_indices
    limbs = {frozenset(limb) for limb in skeleton.limb_indices}
    assert limbs == {frozenset(flip[joint] for joint in limb) for limb in limbs}


def test_renaming_an_unknown_joint_is_refused():
    with pytest.raises(PoseActError, match="no joint 'tail'"):
        PA16.renamed("animal", {"tail": "head"})


def test_conversion_needs_one_row_per_joint():
    with pytest.raises(PoseActError, match="13 joints and 14 flags were given for the 14 joints"):
        LSP14.convert(np.zeros((13, 2)), np.ones(14, bool), PA16)
