"""Readers of sequences: axes, sides, people, parts, and files that are damaged or dangerous."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections import Counter

import numpy as np
import pytest
from scipy.io import savemat

from poseact._utils.errors import PoseActError
from poseact.actions.frame_pose import FramePose
from poseact.data.pose_table import PoseTable
from poseact.data.sequences.bvh import LEG_MM
from poseact.data.sequences.registry import read_sequences
from poseact.data.sequences.utd_mhad import UTD_MHAD
from poseact.models.labels import NTU60, PENN_ACTION
from poseact.skeleton import COCO17, KINECT20, NTU25, PA16, PA17, PENN13, SKELETONS


def place(sequence, joint):
    """``(N, D)``."""
    return sequence.joints[:, sequence.skeleton.index(joint)]


# --- Penn Action ----------------------------------------------------------------------------------

# The columns of the label files by whom they belong to, see read_penn.
PENN_COLUMNS = (
    "head",
    *("right_shoulder", "left_shoulder", "right_elbow", "left_elbow", "right_wrist", "left_wrist"),
    *("right_hip", "left_hip", "right_knee", "left_knee", "right_ankle", "left_ankle"),
)


def write_penn(path, frames=5, train=1, **changes):
    rng = np.random.default_rng(0)
    content = {
        "action": "squat",
        "pose": "front",
        "x": rng.uniform(1, 400, (frames, 13)),
        "y": rng.uniform(1, 300, (frames, 13)),
        "visibility": np.ones((frames, 13), np.uint8),
        "train": np.array([[train]], np.int32),
        "bbox": np.ones((frames, 4)),
        "dimensions": np.array([[300, 400, frames]], np.uint16),
        "nframes": np.array([[frames]], np.uint8),
        **changes,
    }
    path.parent.mkdir(exist_ok=True)
    savemat(path, content)
    return content


def test_penn_official_files(tmp_path):
    seen = np.ones((5, 13), np.uint8)
    seen[2, PENN_COLUMNS.index("left_wrist")] = 0
    content = write_penn(tmp_path / "labels" / "0001.mat", visibility=seen)
    write_penn(tmp_path / "labels" / "0002.mat", train=-1)
    first, second = read_sequences(tmp_path)
    assert (first.name, first.label, first.part, second.part) == ("0001", "squat", "train", "test")
    assert first.recording != second.recording
    assert first.skeleton == PENN13
    np.testing.assert_allclose(first.times, np.arange(5) / 30)
    for column, joint in enumerate(PENN_COLUMNS):
        expected = np.stack((content["x"][:, column], content["y"][:, column]), -1)
        expected[seen[:, column] == 0] = 0
        np.testing.assert_allclose(place(first, joint), expected, rtol=1e-6)
    hidden = np.argwhere(first.confidence == 0).tolist()
    assert hidden == [[2, PENN13.index("left_wrist")]]
    assert read_sequences(tmp_path, fps=50)[0].fps == pytest.approx(50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.ones((4, 13))}, "shapes"),
        ({"x": np.ones((0, 13)), "y": np.ones((0, 13)), "visibility": np.ones((0, 13))}, "shapes"),
        ({"train": np.array([[3]])}, "1 or -1"),
        ({"action": np.zeros((0, 0))}, "one name"),
    ],
)
def test_penn_wrong_labels(tmp_path, changes, message):
    write_penn(tmp_path / "0001.mat", **changes)
    with pytest.raises(PoseActError, match=message):
        read_sequences(tmp_path)


@pytest.fixture(scope="module")
def penn(shared):
    return read_sequences(shared / "data/penn_action_labels")


def test_penn_counts(penn):
    assert Counter(sequence.part for sequence in penn) == {"train": 1258, "test": 1068}
    assert {sequence.label for sequence in penn} == set(PENN_ACTION)
    assert len({sequence.name for sequence in penn}) == len(penn)


def test_penn_sides_are_the_person_s_own(penn):
    """Guitars are strummed by the right hand; bowlers and rope jumpers tell back and front."""

    def share(label, asked):
        answers = [asked(sequence) for sequence in penn if sequence.label == label]
        return np.mean([answer for answer in answers if answer is not None])

    def strums_right(sequence):
        travelled = []
        for joint in ("left_wrist", "right_wrist"):
            known = sequence.confidence[:, PENN13.index(joint)] > 0
            steps = np.linalg.norm(np.diff(place(sequence, joint), axis=0), axis=-1)
            steps = steps[known[1:] & known[:-1]]
            travelled.append(np.percentile(steps, 90) if len(steps) > 5 else None)
        return None if None in travelled else travelled[1] > travelled[0]

    def left_is_on_the_right(sequence):
        shoulders = [PENN13.index("left_shoulder"), PENN13.index("right_shoulder")]
        known = (sequence.confidence[:, shoulders] > 0).all(-1)
        x = sequence.joints[known][:, shoulders, 0]
        return (x[:, 0] - x[:, 1]).mean() > 0 if len(x) else None

    assert share("strum_guitar", strums_right) > 0.9
    assert share("jump_rope", left_is_on_the_right) > 0.9
    assert share("bowl", left_is_on_the_right) < 0.1


# --- UTD-MHAD and Kinect's axes -------------------------------------------------------------------


def test_utd_official_files(tmp_path):
    rng = np.random.default_rng(0)
    metres = rng.normal(0, 0.5, (20, 3, 7))
    metres[:, 2] += 3
    savemat(tmp_path / "a2_s3_t4_skeleton.mat", {"d_skel": metres})
    savemat(tmp_path / "a27_s8_t1_skeleton.mat", {"d_skel": metres})
    squat, swipe = read_sequences(tmp_path)
    assert (swipe.label, swipe.recording, swipe.part) == (UTD_MHAD[1], "s3", "train")
    assert (squat.label, squat.recording, squat.part) == (UTD_MHAD[26], "s8", "test")
    assert swipe.skeleton == KINECT20
    assert len(swipe) == 7
    assert swipe.fps == pytest.approx(30)
    hand = metres[11].T  # the right one, by the data set's list of joints
    relative = hand * (-1, -1, 1) * 1000
    relative[:, 2] -= metres[3, 2] * 1000
    np.testing.assert_allclose(place(swipe, "right_hand"), relative, rtol=1e-4, atol=0.01)
    np.testing.assert_array_equal(place(swipe, "pelvis")[:, 2], 0)


@pytest.mark.parametrize("name", ["a28_s1_t1_skeleton", "a0_s1_t1_skeleton", "walk"])
def test_utd_wrong_name(tmp_path, name):
    savemat(tmp_path / f"{name}.mat", {"d_skel": np.ones((20, 3, 4))})
    with pytest.raises(PoseActError, match="action 1 to 27"):
        read_sequences(tmp_path, "utd-mhad")


def test_utd_wrong_shape(tmp_path):
    savemat(tmp_path / "a1_s1_t1_skeleton.mat", {"d_skel": np.ones((3, 20, 4))})
    with pytest.raises(PoseActError, match=r"\(20, 3, frames\)"):
        read_sequences(tmp_path)


def test_utd_genuine(shared):
    sequences = read_sequences(shared / "data/utd_mhad")
    assert Counter(sequence.part for sequence in sequences) == {"train": 431, "test": 430}
    assert {sequence.label for sequence in sequences} == set(UTD_MHAD)
    by_label = {sequence.label: sequence for sequence in sequences}
    for sequence in sequences:
        # Everyone stands upright and faces the camera, as in a picture that is not mirrored.
        assert place(sequence, "head")[0, 1] < place(sequence, "pelvis")[0, 1]
        across = place(sequence, "left_shoulder") - place(sequence, "right_shoulder")
        assert across[:, 0].mean() > 200
        toes, ankles = (
            place(sequence, f"left_{joint}") + place(sequence, f"right_{joint}")
            for joint in ("foot", "ankle")
        )
        assert (toes - ankles)[:, 2].mean() < 0
        depth = sequence.network_joints()[..., 2]
        assert depth.min() >= 0
        assert depth.max() <= 1
    swipe = by_label["right arm swipe to the right"]
    assert np.ptp(place(swipe, "right_hand")[:, 0]) > 3 * np.ptp(place(swipe, "left_hand")[:, 0])
    lunge = by_label["forward lunge (left foot forward)"]
    assert place(lunge, "left_foot")[:, 2].min() < place(lunge, "right_foot")[:, 2].min()


def test_kinect20_leaves_out_what_it_lacks():
    assert KINECT20.unfillable(PA16) == ()
    assert KINECT20.unfillable(PA17) == ("spine",)
    assert SKELETONS["kinect20"] is KINECT20


# --- NTU ------------------------------------------------------------------------------------------


def write_ntu(path, frames):
    """Frames of ``{identity: (25, 3) metres}``, or of those with the states of the joints."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for identity, body in bodies.items():
            metres, states = body if isinstance(body, tuple) else (body, np.full(25, 2))
            lines += [f"{identity} 0 1 1 1 1 0 0.02 -0.1 2", "25"]
            for (x, y, z), state in zip(metres, states, strict=True):
                lines.append(f"{x} {y} {z} 277.4 191.8 1036.2 519.1 0.2 0.01 0.9 -0.1 {state}")
    path.write_text("\n".join(lines) + "\n")


def ntu_body(seed=0):
    return np.random.default_rng(seed).normal((0, 0, 3), 0.3, (25, 3)).round(4)


def test_ntu_follows_the_most_moving_body(tmp_path):
    still, mover = ntu_body(0), ntu_body(1)
    jitter = np.random.default_rng(2).normal(0, 0.01, (10, 25, 3))
    steps = np.outer(np.arange(10) * 0.1, (1, 0, 0))
    frames = [
        {"72057594037944738": still + jitter[k], "72057594037944739": mover + steps[k]}
        for k in range(10)
    ]
    del frames[0]["72057594037944739"]
    frames[4] = {}
    write_ntu(tmp_path / "S001C002P003R002A013.skeleton", frames)
    (sequence,) = read_sequences(tmp_path)
    kept = np.array([1, 2, 3, 5, 6, 7, 8, 9])
    np.testing.assert_allclose(sequence.times, kept / 30)
    hand = NTU25.index("left_hand")
    expected = -1000 * (mover[hand, :2] + np.outer(kept * 0.1, (1, 0)))
    np.testing.assert_allclose(place(sequence, "left_hand")[:, :2], expected, atol=0.01)
    depth = 1000 * (mover[hand, 2] - mover[NTU25.index("pelvis"), 2])
    np.testing.assert_allclose(place(sequence, "left_hand")[:, 2], depth, atol=0.01)


@pytest.mark.parametrize("lost", [np.nan, np.inf, 1e300, -5000])
@pytest.mark.parametrize("ghost_first", [True, False])
def test_ntu_follows_the_moving_body_though_a_still_one_is_not_finite(tmp_path, lost, ghost_first):
    ghost, mover = ntu_body(0), ntu_body(1)
    ghost[7] = lost
    bodies = [("1", lambda _: ghost), ("2", lambda k: mover + np.array([0.25 * k, 0, 0]))]
    order = bodies if ghost_first else bodies[::-1]
    frames = [{name: body(k) for name, body in order} for k in range(4)]
    write_ntu(tmp_path / "mine.skeleton", frames)
    (sequence,) = read_sequences(tmp_path / "mine.skeleton")
    expected = -1000 * (mover[NTU25.index("pelvis"), 0] + 0.25 * np.arange(4))
    np.testing.assert_allclose(place(sequence, "pelvis")[:, 0], expected, atol=0.01)
    assert (sequence.confidence == 1).all()


def test_ntu_joint_that_is_not_finite_is_not_known(tmp_path):
    body = ntu_body()
    body[4] = np.nan
    write_ntu(tmp_path / "mine.skeleton", [{"1": body}, {"1": np.full((25, 3), np.nan)}])
    (sequence,) = read_sequences(tmp_path / "mine.skeleton")
    assert np.flatnonzero(sequence.confidence[0] == 0).tolist() == [4]
    assert len(sequence) == 1


def test_ntu_tracking_states_are_confidence(tmp_path):
    states = np.full(25, 2)
    states[[3, 4]] = 1, 0
    write_ntu(tmp_path / "mine.skeleton", [{"1": (ntu_body(), states)}])
    (sequence,) = read_sequences(tmp_path / "mine.skeleton")
    assert sequence.confidence[0, [2, 3, 4]].tolist() == [1, 0.5, 0]
    assert not sequence.joints[0, 4].any()
    assert (sequence.label, sequence.part) == (None, None)


def test_ntu_names(tmp_path):
    body = {"1": ntu_body()}
    for name in ("S001C001P001R001A009", "S001C002P001R002A009", "S018C003P003R001A120"):
        write_ntu(tmp_path / f"{name}.skeleton", [body])
    first, again, other = read_sequences(tmp_path)
    assert (first.label, again.label, other.label) == (
        NTU60[8],
        "stand up",
        "rock paper scissors",
    )
    # One performance before several cameras is never divided.
    assert first.recording == again.recording != other.recording
    for protocol, parts in {
        "xsub": ["train", "train", "test"],
        "xview": ["test", "train", "train"],
        "xset": ["test", "test", "train"],
    }.items():
        found = read_sequences(tmp_path, protocol=protocol)
        assert [sequence.part for sequence in found] == parts
    with pytest.raises(PoseActError, match="xview"):
        read_sequences(tmp_path, protocol="xcamera")


def test_ntu_nobody_in_view(tmp_path):
    write_ntu(tmp_path / "S001C001P001R001A001.skeleton", [{}, {}])
    with pytest.raises(PoseActError, match="Nobody"):
        read_sequences(tmp_path)
    write_ntu(tmp_path / "S001C001P001R001A002.skeleton", [{"1": ntu_body()}])
    assert [s.name for s in read_sequences(tmp_path)] == ["S001C001P001R001A002"]


def test_ntu_damaged(tmp_path):
    file = tmp_path / "S001C001P001R001A001.skeleton"
    write_ntu(file, [{"1": ntu_body()}, {"1": ntu_body(1)}])
    whole = file.read_text()
    for text in ("", "two\n", whole[:-400], whole.replace("\n25\n", "\n20\n"), whole + "3\n"):
        file.write_text(text)
        with pytest.raises(PoseActError, match="cut short"):
            read_sequences(file)


# --- pyskl ----------------------------------------------------------------------------------------


def pyskl_2d(name="clip", label=1, frames=6, people=2):
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 300, (people, 1, 17, 2)).repeat(frames, 1).astype(np.float16)
    points[-1, :, :, 0] += np.arange(frames)[:, None] * 10
    return {
        "frame_dir": name,
        "total_frames": frames,
        "img_shape": (340, 512),
        "original_shape": (340, 512),
        "label": label,
        "keypoint": points,
        "keypoint_score": np.full((people, frames, 17), 0.75, np.float16),
    }


def write_pickle(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pyskl_official_file(tmp_path, protocol):
    moved = pyskl_2d("b", np.int64(0))
    moved["keypoint_score"][1, 2] = 0
    annotations = [pyskl_2d("a"), moved, pyskl_2d("c")]
    content = {
        "split": {"xsub_train": ["a"], "xsub_val": ["b", "c"], "xview_train": ["a", "b"]},
        "annotations": annotations,
    }
    file = write_pickle(tmp_path / "ntu.pkl", content, protocol)
    first, second, third = read_sequences(file, labels=["sit", "stand"])
    assert (first.label, second.label) == ("stand", "sit")
    assert [s.part for s in (first, second, third)] == ["train", "test", "test"]
    assert [s.part for s in read_sequences(file, split="xview")] == ["train", "train", None]
    assert read_sequences(file)[0].label == "1"
    assert first.skeleton == COCO17
    np.testing.assert_allclose(first.joints, annotations[0]["keypoint"][1].astype(np.float32))
    assert (first.confidence == 0.75).all()
    # The frame in which nobody is known is left out, and time goes on.
    np.testing.assert_allclose(second.times * 30, [0, 1, 3, 4, 5])


def test_pyskl_validation_is_for_training_where_there_is_a_test_part(tmp_path):
    content = {
        "split": {"train": ["a"], "val": ["b"], "test": ["c"]},
        "annotations": [pyskl_2d(name) for name in "abc"],
    }
    file = write_pickle(tmp_path / "x.pkl", content)
    assert [s.part for s in read_sequences(file)] == ["train", "train", "test"]
    content["split"]["test"].append("a")
    with pytest.raises(PoseActError, match="a is in both"):
        read_sequences(write_pickle(file, content))
    with pytest.raises(PoseActError, match="split: 'xsub'"):
        read_sequences(file, split="xsub")


def test_pyskl_kinect_joints_in_metres(tmp_path):
    metres = np.zeros((2, 4, 25, 3), np.float32)
    metres[0] = ntu_body()
    metres[0, 1] += 0.2
    annotation = {"frame_dir": "S001", "label": 0, "keypoint": metres, "total_frames": 4}
    (sequence,) = read_sequences(write_pickle(tmp_path / "x.pkl", [annotation]))
    assert sequence.skeleton == NTU25
    expected = metres[0, :, 5] * (-1000, -1000, 1000)
    expected[:, 2] -= metres[0, :, 0, 2] * 1000
    np.testing.assert_allclose(sequence.joints[:, 5], expected, atol=0.01)


class Dangerous:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pyskl_runs_nothing(tmp_path, protocol):
    trap = tmp_path / "made"
    annotation = pyskl_2d()
    annotation["frame_dir"] = Dangerous(trap)
    file = write_pickle(tmp_path / "x.pkl", [annotation], protocol)
    with pytest.raises(PoseActError, match=rf"{os.mkdir.__module__}\.mkdir, which is not allowed"):
        read_sequences(file)
    assert not trap.exists()
    pickle.loads(file.read_bytes())
    assert trap.exists()  # the file is as dangerous as it should be


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([None, {}], object), "not of numbers"),
        (np.array(["a"]), "not of numbers"),
        (np.zeros(2, [("a", "f4")]), "not of numbers"),
        (np.datetime64("2020-01-01"), "not of numbers"),
        ({1, 2}, "no list of annotations"),
        (Counter("ab"), "collections.Counter"),
        (complex(1, 2), "complex"),
    ],
)
def test_pyskl_plain_values_alone(tmp_path, content, message):
    with pytest.raises(PoseActError, match=message):
        read_sequences(write_pickle(tmp_path / "x.pkl", content))


def test_pyskl_damaged(tmp_path):
    file = write_pickle(tmp_path / "x.pkl", [pyskl_2d()])
    whole = file.read_bytes()
    for size in (1, 10, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(PoseActError, match="cannot be read"):
            read_sequences(file)


def test_pyskl_arrays_keep_their_layout(tmp_path):
    annotation = pyskl_2d()
    annotation["keypoint"] = np.asfortranarray(annotation["keypoint"].astype(">f8"))
    file = write_pickle(tmp_path / "x.pkl", [annotation], 2)
    expected = annotation["keypoint"][1].astype(np.float32)
    np.testing.assert_array_equal(read_sequences(file)[0].joints, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoint": np.ones((1, 6, 17))}, "annotation 0 has a 'keypoint' of shape"),
        ({"keypoint": [[1, 2], [3]]}, "annotation 0 has a 'keypoint' of shape"),
        ({"keypoint_score": np.ones((1, 6, 17))}, "annotation 0 has a 'keypoint_score'"),
        ({"keypoint_score": 1}, "annotation 0 has a 'keypoint_score'"),
        ({"keypoint_score": np.zeros((2, 6, 17))}, "nobody"),
        ({"keypoint": np.ones((0, 6, 17, 2)), "keypoint_score": np.ones((0, 6, 17))}, "nobody"),
        ({"label": 7}, "label 7, but 2 labels"),
    ],
)
def test_pyskl_wrong_annotations(tmp_path, changes, message):
    file = write_pickle(tmp_path / "x.pkl", [{**pyskl_2d(), **changes}])
    with pytest.raises(PoseActError, match=message):
        read_sequences(file, labels=["a", "b"])


def test_pyskl_annotation_that_is_wrong_is_left_out_and_named(tmp_path, caplog):
    nobody = pyskl_2d("v1") | {"keypoint_score": np.zeros((2, 6, 17))}
    empty = pyskl_2d("v3") | {"keypoint": np.ones((0, 6, 17, 2))}
    content = [nobody, pyskl_2d("v2"), empty | {"keypoint_score": np.ones((0, 6, 17))}, {}]
    sequences = read_sequences(write_pickle(tmp_path / "x.pkl", content))
    assert [sequence.name for sequence in sequences] == ["v2"]
    assert "3 of 4 annotations" in caplog.text
    for number in (0, 2, 3):
        assert f"annotation {number}" in caplog.text


# --- BVH ------------------------------------------------------------------------------------------

# Name, parent and offset in cm, y up, facing along z, the left hand along x.
RIG = [
    ("Hips", None, (0, 0, 0)),
    ("Spine", "Hips", (0, 20, 0)),
    ("Neck", "Spine", (0, 30, 0)),
    ("Head", "Neck", (0, 10, 2)),
]
for _side, _sign in (("Left", 1), ("Right", -1)):
    RIG += [
        (f"{_side}Shoulder", "Spine", (3 * _sign, 25, 0)),
        (f"{_side}Arm", f"{_side}Shoulder", (15 * _sign, 0, 0)),
        (f"{_side}ForeArm", f"{_side}Arm", (30 * _sign, 0, 0)),
        (f"{_side}Hand", f"{_side}ForeArm", (25 * _sign, 0, 0)),
        (f"{_side}UpLeg", "Hips", (10 * _sign, -5, 0)),
        (f"{_side}Leg", f"{_side}UpLeg", (0, -42, 0)),
        (f"{_side}Foot", f"{_side}Leg", (0, -41.5, 0)),
    ]


def write_bvh(path, rig=RIG, turns=None, up="y", scale=1.0, rename=str, frames=3, step=0.02):
    """Turns ``{joint: degrees about z, x and y}``, in the axes of a rig whose y points upwards."""

    def axes(vector):
        x, y, z = (scale * value for value in vector)
        return f"{x} {y} {z}" if up == "y" else f"{x} {-z} {y}"

    children = {name: [entry for entry in rig if entry[1] == name] for name, *_ in rig}
    # About the same axes in space: y is z there, and z is -y.
    order = "Zrotation Xrotation Yrotation" if up == "y" else "Yrotation Xrotation Zrotation"
    numbers = []

    def joint(entry, depth):
        name, parent, offset = entry
        tab = "\t" * depth
        z, x, y = (turns or {}).get(name, (0, 0, 0))
        numbers.extend([] if parent else axes((5, 90, 7)).split())
        numbers.extend((z, x, y) if up == "y" else (-z, x, y))
        lines = [f"{tab}{'JOINT' if parent else 'ROOT'} {rename(name)}", f"{tab}{{"]
        lines += [f"{tab}\tOFFSET {axes(offset)}"]
        positions = "" if parent else "Xposition Yposition Zposition "
        lines += [f"{tab}\tCHANNELS {3 if parent else 6} {positions}{order}"]
        for child in children[name]:
            lines += joint(child, depth + 1)
        if not children[name]:
            end = axes((0, 12, 0))
            lines += [f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET {end}", f"{tab}\t}}"]
        return [*lines, f"{tab}}}"]

    lines = ["HIERARCHY", *joint(rig[0], 0), "MOTION", f"Frames: {frames}", f"Frame Time: {step}"]
    lines += [" ".join(map(str, numbers))] * frames
    path.write_text("\n".join(lines) + "\n")
    return path


def test_bvh_turns_in_their_order(tmp_path):
    # The left arm turns about y so that it points forward, and about the arm's own x after that.
    turns = {"LeftArm": (0, 0, -90), "LeftForeArm": (90, 0, 0), "Hips": (0, 0, 0)}
    (sequence,) = read_sequences(write_bvh(tmp_path / "reach.bvh", turns=turns))
    assert sequence.skeleton == PA16
    assert sequence.fps == pytest.approx(50)
    assert (sequence.confidence == 1).all()
    shoulder = place(sequence, "left_shoulder")[0]
    # Forward is towards the camera; the forearm then points upwards.
    np.testing.assert_allclose(place(sequence, "left_elbow")[0] - shoulder, (0, 0, -300), atol=0.01)
    np.testing.assert_allclose(
        place(sequence, "left_wrist")[0] - shoulder, (0, -250, -300), atol=0.01
    )
    # Someone who faces the camera has the left side on the right of the picture.
    assert place(sequence, "left_hip")[0, 0] > place(sequence, "right_hip")[0, 0]
    np.testing.assert_allclose(place(sequence, "pelvis")[0, :2], (50, -850), atol=0.01)
    top = place(sequence, "head")[0] - place(sequence, "neck")[0]
    np.testing.assert_allclose(top, (0, -220, -20), atol=0.01)


def test_bvh_channels_turn_one_after_the_other(tmp_path):
    # Z, then X about the turned axis: the arm that points along x ends where Rz(90) Rx(90) y does.
    turns = {"RightUpLeg": (90, 90, 0)}
    (sequence,) = read_sequences(write_bvh(tmp_path / "kick.bvh", turns=turns))
    thigh = place(sequence, "right_knee")[0] - place(sequence, "right_hip")[0]
    np.testing.assert_allclose(thigh, (0, 0, 420), atol=0.01)


@pytest.mark.parametrize("scale", [0.01, 0.3937, 10])
@pytest.mark.parametrize("up", ["y", "z"])
def test_bvh_units_and_axes_do_not_matter(tmp_path, up, scale):
    turns = {"LeftArm": (0, 20, -60), "RightLeg": (10, 80, 5), "Spine": (3, 30, 10)}
    (expected,) = read_sequences(write_bvh(tmp_path / "a.bvh", turns=turns))
    (found,) = read_sequences(write_bvh(tmp_path / "b.bvh", turns=turns, up=up, scale=scale))
    np.testing.assert_allclose(found.joints, expected.joints, atol=0.02)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"mixamorig:{name}",
        lambda name: name.replace("Left", "L_").replace("Right", "R_"),
        lambda name: f"{name[4:]}.L" if name.startswith("Left") else name,
    ],
)
def test_bvh_names_of_other_rigs(tmp_path, rename):
    (expected,) = read_sequences(write_bvh(tmp_path / "a.bvh"))
    (found,) = read_sequences(write_bvh(tmp_path / "b.bvh", rename=rename))
    np.testing.assert_array_equal(found.joints, expected.joints)


def test_bvh_without_known_names(tmp_path):
    file = write_bvh(tmp_path / "robot.bvh", rename=lambda name: f"bone {hash(name)}")
    (sequence,) = read_sequences(file)
    ends = sum(name not in {parent for _, parent, _ in RIG} for name, *_ in RIG)
    assert len(sequence.skeleton) == len(RIG) + ends
    assert sequence.skeleton.flip_indices == tuple(range(len(RIG) + ends))
    np.testing.assert_allclose(sequence.joints[0, 0], (50, -900, 0), atol=0.01)
    (smaller,) = read_sequences(file, unit_mm=1)
    np.testing.assert_allclose(smaller.joints * 10, sequence.joints, atol=0.01)
    (turned,) = read_sequences(file, up="z")
    np.testing.assert_allclose(turned.joints[0, 0], (50, -70, 0), atol=0.01)


def test_bvh_damaged(tmp_path):
    file = write_bvh(tmp_path / "a.bvh")
    whole = file.read_text()
    for text in (
        *("", "HIERARCHY\n", whole[:300], whole[:-60], whole.replace("Frames: 3", "Frames: 4")),
        *(whole.replace("OFFSET 0.0 20.0", "OFFSET 20.0"), whole.replace("Frame Time: 0.02", "")),
        *(whole.replace("Time: 0.02", "Time: 0"), whole.replace("Zrotation", "Wrotation")),
    ):
        file.write_text(text)
        with pytest.raises(PoseActError, match="cut short or not BVH"):
            read_sequences(file)
    with pytest.raises(PoseActError, match="y or z"):
        read_sequences(file, up="x")


def test_bvh_genuine(shared):
    sequences = read_sequences(shared / "data/makehuman/motions")
    assert len(sequences) == 9
    for sequence in sequences:
        assert sequence.skeleton == PA16
        assert place(sequence, "neck")[:, 1].mean() < place(sequence, "left_ankle")[:, 1].mean()
        lengths = [
            np.linalg.norm(place(sequence, f"{side}_{a}") - place(sequence, f"{side}_{b}"), axis=-1)
            for side in ("left", "right")
            for a, b in (("hip", "knee"), ("knee", "ankle"))
        ]
        assert np.sum(lengths, 0).mean() / 2 == pytest.approx(LEG_MM, rel=1e-3)
        assert np.abs(sequence.joints[..., 2]).max() < 1000


# --- COCO tracks ----------------------------------------------------------------------------------


def coco_tracks(frames=4, label="wave"):
    rng = np.random.default_rng(0)
    images = [
        {"id": 10 + k, "file_name": f"park/{k:03d}.jpg", "frame_id": k, "video_id": "park"}
        for k in range(frames)
    ]
    annotations = [
        {
            **{"id": 2 * k + track, "image_id": 10 + k, "track_id": track, "category_id": 1},
            "keypoints": np.column_stack((rng.uniform(0, 99, (17, 2)), np.full(17, 2))).ravel(),
            "label": label,
        }
        for k in range(frames)
        for track in (0, 1)
    ]
    return {
        "images": images[::-1],
        "annotations": annotations[::-1],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }


def write_coco(path, content):
    path.write_text(json.dumps(content, default=lambda value: value.tolist()))
    return path


def test_coco_tracks_in_the_order_of_frames(tmp_path):
    content = coco_tracks()
    content["annotations"] = [
        each for each in content["annotations"] if (each["track_id"], each["image_id"]) != (1, 11)
    ]
    by_track = {(a["track_id"], a["image_id"]): a for a in content["annotations"]}
    by_track[0, 12]["keypoints"][2] = 0
    by_track[0, 13]["keypoints"][2] = 1
    file = write_coco(tmp_path / "tracks.json", content)
    sequences = {s.name: s for s in read_sequences(file, fps=10)}
    assert set(sequences) == {"park#0", "park#1"}
    assert {s.recording for s in sequences.values()} == {"park"}
    whole, gap = sequences["park#0"], sequences["park#1"]
    np.testing.assert_allclose(whole.times, [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(gap.times, [0, 0.2, 0.3])
    expected = by_track[1, 12]["keypoints"].reshape(17, 3)[:, :2]
    np.testing.assert_allclose(gap.joints[1], expected, rtol=1e-6)
    assert whole.confidence[:, 0].tolist() == [1, 1, 0, 1]
    assert (whole.label, whole.skeleton) == ("wave", COCO17)


def test_coco_tracks_scores_and_names(tmp_path):
    content = coco_tracks()
    content["categories"][0] |= {"name": "juggling", "keypoints": ["Nose", "Left Wrist"]}
    for annotation in content["annotations"]:
        del annotation["label"]
        annotation["keypoints"] = [5, 6, 0.25, 7, 8, 1]
    sequence = read_sequences(write_coco(tmp_path / "tracks.json", content))[0]
    assert sequence.skeleton.joints == ("nose", "left_wrist")
    assert sequence.confidence.tolist() == [[0.25, 1]] * 4
    assert sequence.label == "juggling"


def test_coco_tracks_are_cut_where_the_label_changes(tmp_path):
    content = coco_tracks(6)
    for annotation in content["annotations"]:
        if annotation["image_id"] in (12, 13):
            annotation["label"] = "rest"
    sequences = read_sequences(write_coco(tmp_path / "tracks.json", content))
    first = [(s.label, len(s), s.times[0] * 30) for s in sequences if "#0" in s.name]
    assert first == [("wave", 2, 0), ("rest", 2, 2), ("wave", 2, 4)]
    assert len({s.name for s in sequences}) == 6


def test_coco_tracks_videos_are_folders_without_an_id(tmp_path):
    content = coco_tracks()
    for image in content["images"]:
        del image["video_id"], image["frame_id"]
        image["file_name"] = f"sea/{image['file_name'][-7:]}"
    sequences = read_sequences(write_coco(tmp_path / "tracks.json", content))
    assert {s.recording for s in sequences} == {"sea"}
    # The images count in the order in which the file lists them.
    last = content["annotations"][0]
    found = next(s for s in sequences if s.name == f"sea#{last['track_id']}")
    np.testing.assert_allclose(found.joints[0, 0], last["keypoints"][:2], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][3].pop("track_id"), r"annotation 4 .*track_id: Field required"),
        (lambda c: c["annotations"][3].update(track_id=[1]), r"annotation 4 .*track_id"),
        (lambda c: c["annotations"][3].update(image_id=99), "annotation 4 is of no image"),
        (lambda c: c["annotations"].insert(3, None), "annotation 3 cannot be used"),
        (lambda c: c["annotations"][3].update(keypoints=[1, 2, 3]), "annotation 4 .*51 were"),
        (lambda c: c["annotations"][3].update(track_id=1, image_id=11), "two people in one frame"),
        (lambda c: c["images"][0].pop("file_name"), r"image 13 .*file_name: Field required"),
        (lambda c: c["images"][0].update(id={}), r"image {} cannot be used .*id"),
        (lambda c: c["images"][0].update(frame_id="first"), r"image 13 .*frame_id"),
        (lambda c: c["images"][0].update(frame_id=10**400), r"image 13 .*frame_id"),
    ],
)
def test_what_is_wrong_in_coco_tracks_is_left_out_and_named(tmp_path, change, message, caplog):
    content = coco_tracks()
    change(content)
    assert read_sequences(write_coco(tmp_path / "tracks.json", content))
    assert "left out" in caplog.text
    assert re.search(message, caplog.text)


def test_coco_tracks_without_anything_to_use(tmp_path):
    content = coco_tracks()
    for annotation in content["annotations"]:
        del annotation["track_id"]
    with pytest.raises(
        PoseActError, match=r"None of the 8 .* annotation 7 cannot be used .*track_id"
    ):
        read_sequences(write_coco(tmp_path / "tracks.json", content))
    content = coco_tracks() | {"annotations": []}
    with pytest.raises(PoseActError, match="no 'annotations'"):
        read_sequences(write_coco(tmp_path / "tracks.json", content))


def test_coco_tracks_frames_numbered_across_all_videos(tmp_path):
    content = coco_tracks()
    for image in content["images"]:
        image["frame_id"] += 10_003_420_000
    plain = read_sequences(write_coco(tmp_path / "tracks.json", coco_tracks()))
    shifted = read_sequences(write_coco(tmp_path / "tracks.json", content))
    for one, other in zip(plain, shifted, strict=True):
        np.testing.assert_array_equal(one.times, other.times)


@pytest.mark.parametrize("in_folders", [False, True])
def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path, in_folders, caplog):
    folder = tmp_path / "wave" if in_folders else tmp_path
    folder.mkdir(exist_ok=True)
    write_ntu(folder / "good.skeleton", [{"1": ntu_body()}])
    (folder / "bad.skeleton").write_text("2\n1\n")
    assert len(read_sequences(tmp_path)) == 1
    assert "1 of 2 files" in caplog.text
    assert "bad.skeleton" in caplog.text


# --- Own tables and arrays ------------------------------------------------------------------------


def write_table(path, depth_unit="mm", people=1, source="walk.mp4"):
    rng = np.random.default_rng(0)
    table = PoseTable(source, PA16, fps=25, depth_unit=depth_unit)
    joints = rng.uniform(1, 99, (4, people, 16, 3 if depth_unit else 2)).astype(np.float32)
    joints[2, 0, 5] = np.nan
    for frame in range(4):
        for person in range(people):
            confidence = np.full(16, 0.5 + 0.25 * person, np.float32)
            pose = FramePose(
                *(frame, frame / 25, person, joints[frame, person], confidence, confidence > 0),
                (0.0, 0.0, 9.0, 9.0),
            )
            table.append(pose)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path)
    return joints


def test_own_table(tmp_path):
    joints = write_table(tmp_path / "poses.parquet", people=2)
    (tmp_path / "poses.json").write_text("{}")
    first, second = read_sequences(tmp_path)
    assert first.name != second.name
    assert first.recording == second.recording == "walk.mp4"
    np.testing.assert_allclose(first.times, np.arange(4) / 25)
    np.testing.assert_array_equal(first.joints, np.nan_to_num(joints[:, 0]))
    assert np.argwhere(first.confidence == 0).tolist() == [[2, 5]]
    assert (second.confidence == 0.75).all()


@pytest.mark.parametrize("depth_unit", ["relative", None])
def test_own_table_without_a_unit_is_flat(tmp_path, depth_unit):
    joints = write_table(tmp_path / "poses.parquet", depth_unit)
    (sequence,) = read_sequences(tmp_path / "poses.parquet")
    np.testing.assert_array_equal(sequence.joints, np.nan_to_num(joints[:, 0, :, :2]))


def test_arrays(tmp_path):
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(5, 13, 2))
    joints[1, 2] = np.nan
    times = np.array([0, 0.1, 0.15, 0.3, 0.5])
    facts = {"skeleton": "penn13", "label": "hop", "recording": "monday", "part": "test"}
    np.savez(
        tmp_path / "a.npz", joints=joints, confidence=np.full((5, 13), 0.5), times=times, **facts
    )
    (sequence,) = read_sequences(tmp_path / "a.npz")
    np.testing.assert_allclose(sequence.joints, np.nan_to_num(joints), rtol=1e-6)
    np.testing.assert_array_equal(sequence.times, times)
    assert sequence.skeleton == PENN13
    assert (sequence.label, sequence.recording, sequence.part) == ("hop", "monday", "test")
    assert np.argwhere(sequence.confidence != 0.5).tolist() == [[1, 2]]


def test_arrays_with_little_said(tmp_path):
    np.savez(tmp_path / "a.npz", joints=np.ones((5, 4, 3)), fps=50)
    np.savez(tmp_path / "b.npz", joints=np.ones((5, 4, 3)))
    first, second = read_sequences(tmp_path, fps=10)
    assert (first.fps, second.fps) == pytest.approx((50, 10))
    assert (first.label, first.recording, first.part) == (None, "a", None)
    assert (first.confidence == 1).all()
    assert len(first.skeleton) == 4
    np.savez(tmp_path / "b.npz", joints=np.ones((5, 2, 2)), fps=5, skeleton=["left_a", "right_a"])
    assert read_sequences(tmp_path / "b.npz")[0].skeleton.flip_indices == (1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": np.ones((5, 4))}, "'joints' of shape"),
        ({"joints": np.array(["a"])}, "'joints' of shape"),
        ({"confidence": np.ones((4, 4))}, "'confidence' of shape"),
        ({"fps": 0}, "positive"),
        ({"skeleton": "octopus"}, "skeleton 'octopus' was given; give one of pa16"),
        ({"skeleton": "penn13"}, "penn13 of 13 joints"),
        ({"times": np.zeros(5)}, "are not increasing"),
        ({"times": np.arange(4)}, "'times' of shape"),
        ({"times": np.array(list("abcde"))}, "'times' of shape"),
        ({"fps": np.array([25, 30])}, "'fps' of shape"),
        ({"label": np.array([{}], object)}, "plain arrays"),
    ],
)
def test_arrays_wrong(tmp_path, changes, message):
    np.savez(tmp_path / "a.npz", **{"joints": np.ones((5, 4, 2)), "fps": 30, **changes})
    with pytest.raises(PoseActError, match=message):
        read_sequences(tmp_path)


def test_arrays_without_a_rate(tmp_path):
    np.savez(tmp_path / "a.npz", joints=np.ones((5, 4, 2)))
    with pytest.raises(PoseActError, match="neither 'times' nor 'fps'"):
        read_sequences(tmp_path)


# --- Folders and the choice of a reader -----------------------------------------------------------


def test_a_folder_for_each_action(tmp_path):
    jump, sit = tmp_path / "Häpp jump", tmp_path / "sit-down"
    write_table(jump / "anna/poses.parquet", people=2)
    (sit / ".trash").mkdir(parents=True)
    (tmp_path / ".cache").mkdir()
    np.savez(sit / "ben 1.npz", joints=np.ones((3, 16, 3)), skeleton="pa16", label="nonsense")
    np.savez(sit / ".trash" / "old.npz", joints=np.ones(1))
    np.savez(tmp_path / ".cache" / "old.npz", joints=np.ones(1))
    write_bvh(sit / "ben 1.bvh")
    write_ntu(sit / "S001C001P002R001A001.skeleton", [{"1": ntu_body()}])
    (tmp_path / "readme.txt").write_text("mine")
    sequences = read_sequences(tmp_path, fps=30)
    assert Counter(s.label for s in sequences) == {"häpp_jump": 2, "sit_down": 3}
    assert len({s.name for s in sequences}) == 5
    people = [s for s in sequences if s.label == "häpp_jump"]
    assert people[0].recording == people[1].recording
    assert len({s.recording for s in sequences if s.label == "sit_down"}) == 3


def test_folders_whose_names_clash(tmp_path):
    for name in ("Push-Ups", "push ups"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "a.npz", joints=np.ones((3, 4, 2)), fps=30)
    with pytest.raises(PoseActError, match="'Push-Ups' and 'push ups'"):
        read_sequences(tmp_path)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(PoseActError, match="does not exist"):
        read_sequences(tmp_path / "nowhere")
    with pytest.raises(PoseActError, match="holds no folder"):
        read_sequences(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(PoseActError, match="none of the known formats"):
        read_sequences(tmp_path / "notes.txt")
    np.savez(tmp_path / "a.npz", joints=np.ones((3, 4, 2)), fps=30)
    write_bvh(tmp_path / "a.bvh")
    with pytest.raises(PoseActError, match="bvh or npz; give the kind"):
        read_sequences(tmp_path)
    assert len(read_sequences(tmp_path, "bvh")) == 1
    with pytest.raises(PoseActError, match="kind 'c3d' were asked for; give penn"):
        read_sequences(tmp_path, "c3d")
    with pytest.raises(PoseActError, match=r"option speed .* its options are fps"):
        read_sequences(tmp_path, "npz", speed=2)
    with pytest.raises(PoseActError, match=r"holds no file \*\.skeleton"):
        read_sequences(tmp_path, "ntu")


def test_an_option_of_no_file_in_the_folders(tmp_path):
    (tmp_path / "hop").mkdir()
    np.savez(tmp_path / "hop" / "a.npz", joints=np.ones((3, 4, 2)))
    with pytest.raises(PoseActError, match="option up"):
        read_sequences(tmp_path, fps=30, up="z")


def test_files_below_one_another_have_names_of_their_own(tmp_path):
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "a.npz", joints=np.ones((3, 4, 2)), fps=30)
    sequences = read_sequences(tmp_path, "npz")
    assert [s.name for s in sequences] == ["monday/a", "tuesday/a"]
    assert sequences[0].recording != sequences[1].recording
