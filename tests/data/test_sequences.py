"""Readers of sequences: Penn Action, UTD-MHAD, NTU, tables and arrays, folders of files."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.io import savemat

from helpers.sequence_files import ntu_body, write_bvh, write_ntu
from poseact._utils.errors import PoseActError
from poseact.actions.frame_pose import FramePose
from poseact.data.pose_table import PoseTable
from poseact.data.sequences.registry import read_sequences
from poseact.data.sequences.utd_mhad import UTD_MHAD
from poseact.models.labels import NTU60, PENN_ACTION
from poseact.skeleton import KINECT20, NTU25, PA16, PA17, PENN13, SKELETONS


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


@pytest.mark.parametrize("in_folders", [False, True])
def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path, in_folders, caplog):
    folder = tmp_path / "wave" if in_folders else tmp_path
    folder.mkdir(exist_ok=True)
    write_ntu(folder / "good.skeleton", [{"1": ntu_body()}])
    (folder / "bad.skeleton").write_text("2\n1\n")
    assert len(read_sequences(tmp_path)) == 1
    assert "1 of 2 files" in caplog.text
    assert "bad.skeleton" in caplog.text


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
