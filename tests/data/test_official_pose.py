"""MPII, Human3.6M and MPI-INF-3DHP as their authors distribute them."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from helpers.pose_files import (
    LENS,
    camera_poses,
    mpii_person,
    pinhole,
    project,
    room_poses,
    write_calibration,
    write_cdf,
    write_metadata,
    write_mpi_test,
    write_mpii,
)
from poseact._utils.errors import PoseActError
from poseact.data.mmpose_files import read_cameras, read_labels
from poseact.data.mpii import read_mpii
from poseact.data.official.human36m_cameras import VIEWS, read_human36m_cameras
from poseact.data.official.human36m_official import (
    read_cdf_poses,
    read_human36m_official,
    read_human36m_videopose3d,
)
from poseact.data.official.mpi_inf_3dhp_official import (
    MPI3DHP28,
    fitted_camera,
    read_calibration,
    read_mpi_inf_3dhp_official,
)
from poseact.media import VideoWriter, write_image
from poseact.skeleton import H36M17, H36M32, H36M32_PAPER, MPI3DHP17, MPII16, PA16

# --- MPII -----------------------------------------------------------------------------------------


@pytest.fixture
def mpii(tmp_path):
    """Two people in one image and one in another; the list has them turned round, one left out."""
    rng = np.random.default_rng(0)
    first, second, third = rng.integers(20, 400, (3, 16, 2)).astype(float)
    people = [mpii_person(first, {0}), mpii_person(second, {3, 4}, corner=70.0)]
    write_mpii(tmp_path, {"a.jpg": people, "b.jpg": [mpii_person(third, {5})]})
    entries = [
        {"image": "b.jpg", "joints": third.tolist(), "joints_vis": [1] * 16},
        {"image": "a.jpg", "joints": (second + 0.004).tolist(), "joints_vis": [1] * 15 + [0]},
    ]
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "valid.json").write_text(json.dumps(entries))
    return tmp_path, (first, second, third), entries


def test_mpii_part_has_heads_and_hidden_flags(mpii):
    root, (_, second, third), _ = mpii
    samples = read_mpii(root, MPII16, part="valid")
    assert [sample.image.path.name for sample in samples] == ["b.jpg", "a.jpg"]
    assert samples[0].head_px == pytest.approx(0.6 * 50)
    assert samples[1].head_px == pytest.approx(0.6 * np.hypot(60, 40))
    assert np.flatnonzero(~samples[0].visible).tolist() == [5]
    assert np.flatnonzero(~samples[1].visible).tolist() == [3, 4]
    for sample, points in zip(samples, (third, second), strict=True):
        assert sample.valid.all()
        np.testing.assert_allclose(sample.joints, points - 0.5)
    assert len(read_mpii(root, MPII16)) == 3


def test_mpii_windows_are_the_usual_crop(mpii):
    for sample in read_mpii(mpii[0]):
        # Centre and side as the published loaders have them: 15 px lower and 1.25 times 200 px.
        np.testing.assert_allclose(sample.square, (300, 200 + 15 * 2, 1.25 * 200 * 2))


def test_mpii_part_faults(mpii):
    root, _, entries = mpii
    with pytest.raises(PoseActError, match=r"neither .*train\.json nor .*annot/train\.json exists"):
        read_mpii(root, part="train")
    with pytest.raises(PoseActError, match=r"but valid\.json does not say"):
        read_mpii(root, labels="annot/valid.json", part="valid")
    entries[0]["joints"] = (np.array(entries[0]["joints"]) + 5).tolist()
    (root / "valid.json").write_text(json.dumps(entries))
    with pytest.raises(PoseActError, match=r"person 0, in b\.jpg, is not among the people"):
        read_mpii(root, part="valid")
    entries[0]["image"] = "c.jpg"
    (root / "valid.json").write_text(json.dumps(entries))
    with pytest.raises(PoseActError, match=r"person 0, in c\.jpg"):
        read_mpii(root, part="valid")


# --- Human3.6M ------------------------------------------------------------------------------------


@pytest.fixture
def h36m(tmp_path):
    """S1 and S11 with an action each, the first camera 5 m in front of the room's middle."""
    placings = np.zeros((4, 11, 6))
    # Looks along the world's +y, its down being the world's.
    placings[..., :3] = (np.pi / 2, 0, 0)
    placings[..., 3:] = (0, -5000, 1000)
    # Turned half round the world's vertical and placed on the other side.
    placings[1, :, :3] = (np.pi / 2, 0, np.pi)
    placings[1, :, 3:] = (0, 5000, 1000)
    placings[:, 10, 3] = 100
    write_metadata(tmp_path / "metadata.xml", placings, np.tile(LENS, (4, 1)))
    for subject, action, count in (("S1", "TakingPhoto 1", 12), ("S11", "Directions", 6)):
        folder = tmp_path / subject / "MyPoseFeatures"
        write_cdf(folder / "D3_Positions" / f"{action}.cdf", room_poses(count))
    return tmp_path


def test_metadata_turns_and_order(tmp_path):
    rng = np.random.default_rng(0)
    placings, lenses = rng.uniform(-3, 3, (4, 11, 6)), rng.uniform(1, 2, (4, 9))
    write_metadata(tmp_path / "metadata.xml", placings, lenses)
    cameras = read_human36m_cameras(tmp_path / "metadata.xml")
    assert len(cameras) == 44
    camera = cameras["S5", "58860488"]
    expected = Rotation.from_euler("XYZ", placings[2, 4, :3]).as_matrix()
    np.testing.assert_allclose(camera.rotation, expected, atol=1e-12)
    np.testing.assert_allclose(camera.translation, placings[2, 4, 3:])
    found = (*camera.focal, *camera.centre, *camera.radial, *camera.tangential)
    np.testing.assert_allclose(found, lenses[2])


def test_official_human36m(h36m):
    samples = read_human36m_official(h36m, H36M32, every=4)
    assert {sample.sequence for sample in samples} == {
        *(f"S1_TakingPhoto_1.{view}" for view in VIEWS),
        # The first camera's video is damaged in the release.
        *(f"S11_Directions.{view}" for view in VIEWS[1:]),
    }
    front = [s for s in samples if s.sequence == f"S1_TakingPhoto_1.{VIEWS[0]}"]
    assert [sample.frame for sample in front] == [4, 8, 12]
    world = room_poses(12)[[3, 7, 11]]
    for sample, points in zip(front, world, strict=True):
        deep = points[:, 1] + 5000
        assert sample.root_depth_mm == pytest.approx(deep[0], abs=0.01)
        np.testing.assert_allclose(sample.joints[:, 2], deep - deep[0], atol=0.01)
        back = sample.camera.unproject(sample.joints[:, :2].astype(float), deep)
        np.testing.assert_allclose(back, points, atol=0.1)
    # What is right for one camera is left for the one opposite, and the other way round in depth.
    behind = next(s for s in samples if s.sequence.endswith(VIEWS[1]))
    np.testing.assert_allclose(behind.joints[:, 2], -front[0].joints[:, 2], atol=0.01)
    middle = LENS[2]
    x, mirrored = front[0].joints[:, 0] - middle, behind.joints[:, 0] - middle
    assert (np.sign(x) == -np.sign(mirrored)).mean() > 0.9


def test_official_human36m_subjects_views_and_names(h36m):
    chosen = read_human36m_official(h36m, subjects=("S11",), views=VIEWS[2:3], every=2)
    assert {sample.sequence for sample in chosen} == {f"S11_Directions.{VIEWS[2]}"}
    assert [sample.frame for sample in chosen] == [2, 4, 6]
    paper = read_human36m_official(h36m, PA16, paper_names=True, every=12)[0]
    own = read_human36m_official(h36m, H36M32, every=12)[0]
    thorax, back = paper.joints[PA16.index("thorax")], own.joints[H36M32.index("spine")]
    np.testing.assert_array_equal(thorax, back)
    assert H36M32_PAPER.index("thorax") == H36M32.index("spine")


def test_official_pixels_are_taken_where_they_are(h36m):
    file = h36m / "S1/MyPoseFeatures/D2_Positions" / f"TakingPhoto 1.{VIEWS[0]}.cdf"
    pixels = np.random.default_rng(1).uniform(0, 1000, (12, 32, 2))
    write_cdf(file, pixels)
    sample = read_human36m_official(h36m, H36M32, every=5)[1]
    assert sample.frame == 10
    np.testing.assert_allclose(sample.joints[:, :2], pixels[9], rtol=1e-6)
    write_cdf(file, pixels[:11])
    with pytest.raises(PoseActError, match="has 11 frames, but D3_Positions has 12"):
        read_human36m_official(h36m)


def test_official_pictures_are_frames_of_the_video_or_extracted(h36m):
    file = h36m / "S1" / "Videos" / f"TakingPhoto 1.{VIEWS[0]}.mp4"
    with VideoWriter(file, 50, 32, 32) as video:
        for number in range(1, 13):
            video.write(np.full((32, 32, 3), 20 * number, np.uint8), number / 50)
    sample = read_human36m_official(h36m, every=7)[0]
    assert str(sample.image) == f"{file}:6"
    assert sample.image.read().mean() == pytest.approx(20 * 7, abs=3)
    stem = f"S1_TakingPhoto_1.{VIEWS[0]}"
    picture = h36m / "images" / "S1" / stem / f"{stem}_000007.jpg"
    write_image(picture, np.zeros((8, 8, 3), np.uint8))
    sample = read_human36m_official(h36m, images="images", every=7)[0]
    assert sample.image.path == picture
    assert sample.image.exists()


def test_official_human36m_faults(h36m):
    with pytest.raises(PoseActError, match="S7"):
        read_human36m_official(h36m, subjects=("S7",))
    file = h36m / "S1/MyPoseFeatures/D3_Positions/TakingPhoto 1.cdf"
    for content in (b"", b"text", file.read_bytes()[:300]):
        file.write_bytes(content)
        with pytest.raises(PoseActError, match=r"TakingPhoto 1\.cdf is"):
            read_human36m_official(h36m)
    write_cdf(file, np.zeros((4, 17, 3)))
    with pytest.raises(PoseActError, match="with a Pose of 32 joints"):
        read_human36m_official(h36m)
    for content in ("", "<metadata><w0>[1 2 3]</w0></metadata>", "<metadata>", "<metadata/>"):
        (h36m / "metadata.xml").write_text(content)
        with pytest.raises(PoseActError, match=r"metadata\.xml"):
            read_human36m_official(h36m)


def test_videopose3d_archive(h36m):
    world = room_poses(12)
    metres = [(poses / 1000).astype(np.float32) for poses in (world, room_poses(3, 1))]
    poses = {"S1": {"Photo 1": metres[0]}, "S9": {"Walking": metres[1]}}
    np.savez_compressed(h36m / "data_3d_h36m.npz", positions_3d=poses)
    (h36m / "S1" / "Videos").mkdir()
    (h36m / "S1" / "Videos" / f"TakingPhoto 1.{VIEWS[0]}.mp4").touch()
    samples = read_human36m_videopose3d(h36m, H36M32, every=3)
    assert len(samples) == 4 * (4 + 1)
    official = read_human36m_official(h36m, H36M32, every=3)
    np.testing.assert_allclose(samples[0].joints, official[0].joints, atol=0.01)
    # The archive's names of actions are shorter than those of S1's videos.
    assert samples[0].image.exists()
    (only,) = read_human36m_videopose3d(h36m, subjects=("S9",), views=VIEWS[:1], every=3)
    assert (only.sequence, only.frame) == (f"S9_Walking.{VIEWS[0]}", 3)


class _Runs:
    def __reduce__(self):
        return pytest.fail, ("the pickle was executed",)


def test_videopose3d_archives_that_are_dangerous_or_damaged(h36m):
    file = h36m / "data_3d_h36m.npz"
    np.savez(file, positions_3d={"S1": {"Walking": _Runs()}})
    with pytest.raises(PoseActError, match="which is not allowed"):
        read_human36m_videopose3d(h36m)
    np.savez(file, positions_3d=np.zeros((4, 32, 3)))
    with pytest.raises(PoseActError, match="it is an array of float64"):
        read_human36m_videopose3d(h36m)
    np.savez(file, positions_3d={"S1": {"Walking": np.zeros((4, 17, 3))}})
    with pytest.raises(PoseActError, match="of 32 joints"):
        read_human36m_videopose3d(h36m)
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"text", pickle.dumps({})):
        file.write_bytes(damaged)
        with pytest.raises(PoseActError, match=r"data_3d_h36m\.npz"):
            read_human36m_videopose3d(h36m)


def test_genuine_human36m_through_the_official_files(shared, tmp_path):
    """Cameras and labels of the samples, written as the release has them, come back."""
    root = shared / "data/samples/h36m"
    genuine, labels = (
        read_cameras(root / "cameras.pkl"),
        read_labels(root / "test_h36m_body3d.npz", H36M17),
    )
    placings = np.zeros((4, 11, 6))
    for (subject, view), camera in genuine.items():
        at = VIEWS.index(view), int(subject[1:]) - 1
        angles = Rotation.from_matrix(np.array(camera.rotation)).as_euler("XYZ")
        placings[at] = (*angles, *camera.translation)
    lenses = [genuine["S1", view] for view in VIEWS]
    rows = [(*lens.focal, *lens.centre, *lens.radial, *lens.tangential) for lens in lenses]
    write_metadata(tmp_path / "metadata.xml", placings, rows)
    for key, camera in read_human36m_cameras(tmp_path / "metadata.xml").items():
        np.testing.assert_allclose(camera.rotation, genuine[key].rotation, atol=1e-9)
    places = [H36M32.index(joint) for joint in H36M17.joints]
    for image, points in zip(labels.images, labels.points, strict=True):
        stem, rest, _ = image.split("/")[-1].split(".")
        subject, name = stem.split("_", 1)
        view, name = rest.split("_")[0], name.replace("_", " ")
        world = np.zeros((1, 32, 3))
        world[0, places] = genuine[subject, view].to_world(points)
        write_cdf(tmp_path / subject / "MyPoseFeatures" / "D3_Positions" / f"{name}.cdf", world)
    samples = {s.sequence: s for s in read_human36m_official(tmp_path, H36M17)}
    assert len(samples) == 16
    for image, pixels, points in zip(labels.images, labels.pixels, labels.points, strict=True):
        sample = samples[image.split("/")[-1].rsplit("_", 1)[0]]
        assert np.abs(sample.joints[:, :2] - pixels).max() < 2
        depth = sample.joints[:, 2].astype(float) + sample.root_depth_mm
        back = sample.camera.at_origin.unproject(pixels, depth)
        assert np.abs(back - points).max() < 0.1


def test_cdf_of_another_dimension_is_refused(h36m):
    file = h36m / "S1/MyPoseFeatures/D3_Positions/TakingPhoto 1.cdf"
    assert read_cdf_poses(file, 3).shape == (12, 32, 3)
    write_cdf(file, np.zeros((5, 32, 3)))
    with pytest.raises(PoseActError, match="in 2D"):
        read_cdf_poses(file, 2)


# --- MPI-INF-3DHP ---------------------------------------------------------------------------------


@pytest.fixture
def mpi_train(tmp_path):
    """Cameras 0 and 5 of a sequence of 6 frames."""
    folder = tmp_path / "S2" / "Seq1"
    folder.mkdir(parents=True)
    placing = np.eye(4)
    placing[:3, :3] = Rotation.from_euler("y", 30, degrees=True).as_matrix()
    placing[:3, 3] = (100, 1200, 3000)
    write_calibration(folder / "camera.calibration", {n: (pinhole(), placing) for n in (0, 5)})
    cells = {key: np.empty((2, 1), object) for key in ("annot2", "annot3", "univ_annot3")}
    for row in range(2):
        points = camera_poses(6, 28, row)
        cells["annot2"][row, 0] = project(points, pinhole()).reshape(6, -1)
        cells["annot3"][row, 0] = points.reshape(6, -1)
        cells["univ_annot3"][row, 0] = 0.9 * points.reshape(6, -1)
    frames = np.arange(6.0)[:, None]
    savemat(folder / "annot.mat", {**cells, "cameras": np.array([[0], [5]]), "frames": frames})
    (folder / "imageSequence").mkdir()
    (folder / "imageSequence" / "video_5.avi").touch()
    return tmp_path


def test_mpi_inf_3dhp_training_set(mpi_train):
    samples = read_mpi_inf_3dhp_official(mpi_train, MPI3DHP28, every=3)
    assert [(s.sequence, s.frame) for s in samples] == [("S2_Seq1_Cam5", 3), ("S2_Seq1_Cam5", 6)]
    points = camera_poses(6, 28, 1)[2]
    sample = samples[0]
    root = points[MPI3DHP28.index("pelvis"), 2]
    np.testing.assert_allclose(sample.joints[:, 2], points[:, 2] - root, atol=1e-3)
    assert sample.root_depth_mm == pytest.approx(root)
    back = sample.camera.at_origin.unproject(sample.joints[:, :2].astype(float), points[:, 2])
    np.testing.assert_allclose(back, points, atol=1)
    assert str(sample.image).endswith("S2/Seq1/imageSequence/video_5.avi:2")
    # The calibration takes the room to the camera.
    turned = Rotation.from_euler("y", 30, degrees=True).apply((1, 2, 3))
    turned += (100, 1200, 3000)
    np.testing.assert_allclose(sample.camera.to_camera(np.array([1.0, 2, 3])), turned, rtol=1e-5)


def test_mpi_inf_3dhp_names_come_to_the_right_joints(mpi_train):
    (sample,) = read_mpi_inf_3dhp_official(mpi_train, PA16, every=6)
    points = camera_poses(6, 28, 1)[5]
    # Numbers of the joints as the data set's documentation counts them, from 0.
    numbers = {"pelvis": 4, "neck": 5, "head": 7, "left_shoulder": 9, "left_wrist": 11}
    numbers |= {"right_wrist": 16, "left_hip": 18, "left_ankle": 20, "right_hip": 23}
    for joint, number in {**numbers, "right_ankle": 25}.items():
        expected = project(points, pinhole())[number]
        np.testing.assert_allclose(sample.joints[PA16.index(joint), :2], expected, rtol=1e-5)


def test_mpi_inf_3dhp_options(mpi_train):
    chosen = read_mpi_inf_3dhp_official(mpi_train, MPI3DHP28, views=(0,), images="imageFrames")
    assert len(chosen) == 6
    picture = mpi_train / "S2" / "Seq1" / "imageFrames" / "video_0" / "frame_000001.jpg"
    assert chosen[0].image.path == picture
    scaled = read_mpi_inf_3dhp_official(mpi_train, MPI3DHP28, views=(0,), universal=True)
    np.testing.assert_allclose(scaled[0].joints[:, 2], 0.9 * chosen[0].joints[:, 2], atol=1e-2)
    with pytest.raises(PoseActError, match="none of the requested pictures"):
        read_mpi_inf_3dhp_official(mpi_train, images="imageFrames")
    with pytest.raises(PoseActError, match=r"no S\*/Seq\*/annot\.mat of S7"):
        read_mpi_inf_3dhp_official(mpi_train, subjects=("S7",))


def test_mpi_inf_3dhp_test_set(tmp_path):
    points = camera_poses(5, 17)
    pixels = project(points, pinhole(1400))
    # A frame without labels must not take part in finding the camera.
    pixels[1], points[1] = 0, 1
    write_mpi_test(tmp_path, [1, 0, 1, 1, 0], pixels, points)
    samples = read_mpi_inf_3dhp_official(tmp_path, MPI3DHP17, part="test")
    assert [sample.frame for sample in samples] == [1, 3, 4]
    assert samples[1].image.path == tmp_path / "TS1" / "imageSequence" / "img_000003.jpg"
    np.testing.assert_allclose(samples[1].joints[:, :2], pixels[2], rtol=1e-6)
    np.testing.assert_allclose(samples[0].camera.focal, (1400, 1401), rtol=1e-6)
    np.testing.assert_allclose(samples[0].camera.centre, (1024, 1050), rtol=1e-6)
    scaled = read_mpi_inf_3dhp_official(tmp_path, MPI3DHP17, part="test", universal=True)
    assert scaled[0].root_depth_mm == pytest.approx(0.9 * samples[0].root_depth_mm)
    np.testing.assert_allclose(scaled[0].camera.focal, (1400, 1401), rtol=1e-6)


def test_mpi_inf_3dhp_faults(mpi_train):
    folder = mpi_train / "S2" / "Seq1"
    calibration = folder / "camera.calibration"
    content = calibration.read_text()
    for damaged in ("", "text", content.replace("intrinsic   1500", "intrinsic   x")):
        calibration.write_text(damaged)
        with pytest.raises(PoseActError, match=r"camera\.calibration"):
            read_mpi_inf_3dhp_official(mpi_train)
    calibration.write_text(content.replace("name          5", "name          6"))
    with pytest.raises(PoseActError, match="needs the camera 5"):
        read_mpi_inf_3dhp_official(mpi_train)
    calibration.write_text(content)
    cells = np.empty((1, 1), object)
    cells[0, 0] = np.zeros((3, 34))
    file = dict.fromkeys(("annot2", "annot3"), cells)
    savemat(folder / "annot.mat", {**file, "cameras": np.array([[0]])})
    with pytest.raises(PoseActError, match=r"annot\.mat is not MPI-INF-3DHP's"):
        read_mpi_inf_3dhp_official(mpi_train)
    points = camera_poses(2, 17)
    write_mpi_test(mpi_train, [0, 0], points[..., :2], points)
    with pytest.raises(PoseActError, match="all joints of the valid frames coincide"):
        read_mpi_inf_3dhp_official(mpi_train, part="test")


@pytest.mark.parametrize("place", [0, 1])
def test_cameras_of_the_genuine_test_set_follow_from_its_labels(shared, place):
    root = shared / "data/samples/mpi_inf_3dhp"
    labels = read_labels(root / "test_3dhp_test.npz", MPI3DHP17)
    known = read_cameras(root / "cameras_test.pkl")[labels.images[place].split("_")[0]]
    camera = fitted_camera(labels.points[place], labels.pixels[place])
    assert np.abs(camera.project(labels.points[place]) - labels.pixels[place]).max() < 2
    np.testing.assert_allclose(camera.focal, known.focal, rtol=2e-3)


def test_calibration_of_the_genuine_cameras(shared, tmp_path):
    """Written in the form of the release, they stand above the floor around the room."""
    genuine = read_cameras(shared / "data/samples/mpi_inf_3dhp/cameras_train.pkl")
    matrices = {}
    for number in (0, 1, 2, 4, 5, 6, 7, 8):
        camera = genuine[f"S1_Seq1_Cam{number}"]
        lens, placing = np.eye(4), np.eye(4)
        lens[0, 0], lens[1, 1] = camera.focal
        lens[:2, 2] = camera.centre
        # mmpose's pickle has the numbers of the extrinsic matrix as R and T.
        placing[:3, :3], placing[:3, 3] = np.array(camera.rotation).T, camera.translation
        matrices[number] = lens, placing
    write_calibration(tmp_path / "camera.calibration", matrices)
    cameras = read_calibration(tmp_path / "camera.calibration")
    assert sorted(cameras) == [0, 1, 2, 4, 5, 6, 7, 8]
    middle = np.mean([camera.translation for camera in cameras.values()], 0)
    for camera in cameras.values():
        place, ahead = np.array(camera.translation), np.array(camera.rotation)[2]
        assert 700 < place[1] < 2600
        assert ahead @ (middle - place) > 0
