"""Cameras: projection, its inverse, and the genuine samples of Human3.6M."""

from __future__ import annotations

import numpy as np
import pytest

from poseact.data.camera import Camera
from poseact.data.mmpose_files import read_cameras, read_labels
from poseact.skeleton import H36M17, MPI3DHP17

# Turned by 90 degrees about y: the camera's z axis is the world's x axis.
DISTORTED = Camera(
    focal=(1145.0, 1143.8),
    centre=(512.5, 515.5),
    rotation=((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    translation=(1000.0, -200.0, 300.0),
    radial=(-0.2071, 0.2478, -0.0031),
    tangential=(-0.0014, -0.00098),
)


def test_pinhole_by_hand():
    camera = Camera((1000.0, 500.0), (320.0, 240.0))
    np.testing.assert_allclose(camera.project(np.array([100.0, -50.0, 2000.0])), (370, 227.5))


def test_distortion_by_hand():
    camera = Camera((1.0, 1.0), (0.0, 0.0), radial=(0.1, 0.01, 0.001), tangential=(0.02, 0.03))
    x, y = 0.5, 0.25
    r2 = x * x + y * y
    scale = 1 + 0.1 * r2 + 0.01 * r2**2 + 0.001 * r2**3 + 0.02 * y + 0.03 * x
    expected = x * scale + 0.03 * r2, y * scale + 0.02 * r2
    np.testing.assert_allclose(camera.project(np.array([x, y, 1.0])), expected)


def test_world_axes():
    # 3 m ahead of the camera, 100 mm to its right and 50 mm below.
    world = np.array([1000 + 3000, -200 + 50, 300 - 100.0])
    np.testing.assert_allclose(DISTORTED.to_camera(world), (100, 50, 3000))
    np.testing.assert_allclose(DISTORTED.to_world(DISTORTED.to_camera(world)), world)
    np.testing.assert_allclose(
        DISTORTED.project(world), DISTORTED.at_origin.project(np.array([100.0, 50.0, 3000.0]))
    )


def test_unprojection_undoes_the_distortion():
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 1000, (200, 2))
    depth = rng.uniform(2000, 6000, 200)
    points = DISTORTED.unproject(pixels, depth)
    np.testing.assert_allclose(DISTORTED.project(points), pixels, atol=1e-6)
    np.testing.assert_allclose(DISTORTED.to_camera(points)[:, 2], depth)
    pinhole = Camera(DISTORTED.focal, DISTORTED.centre).unproject(pixels, depth)
    assert np.abs(pinhole - DISTORTED.at_origin.unproject(pixels, depth)).max() > 50


def test_human36m_cameras_meet_the_labels(shared):
    root = shared / "data/samples/h36m"
    cameras = read_cameras(root / "cameras.pkl")
    labels = read_labels(root / "test_h36m_body3d.npz", H36M17)
    for image, pixels, points in zip(labels.images, labels.pixels, labels.points, strict=True):
        name = image.split("/")[-1]
        camera = cameras[name.split("_")[0], name.split(".")[1].split("_")[0]].at_origin
        assert np.abs(camera.project(points) - pixels).max() < 1e-3
        back = camera.unproject(camera.project(points), points[:, 2])
        assert np.abs(back - points).max() < 1e-6
        assert np.abs(camera.unproject(pixels, points[:, 2]) - points).max() < 0.1


def test_human36m_cameras_stand_around_the_room_and_look_down(shared):
    cameras = read_cameras(shared / "data/samples/h36m/cameras.pkl")
    for camera in cameras.values():
        place, ahead = np.array(camera.translation), np.array(camera.rotation)[2]
        assert 1000 < place[2] < 2500
        assert -0.5 < ahead[2] < 0
        assert place[:2] @ ahead[:2] < 0


@pytest.mark.parametrize("part", ["train", "test"])
def test_mpi_inf_3dhp_cameras_meet_the_labels(shared, part):
    root = shared / "data/samples/mpi_inf_3dhp"
    cameras = read_cameras(root / f"cameras_{part}.pkl")
    labels = read_labels(root / f"test_3dhp_{part}.npz", MPI3DHP17)
    for image, pixels, points in zip(labels.images, labels.pixels, labels.points, strict=True):
        camera = cameras[image.rsplit("_", 1)[0]].at_origin
        assert np.abs(camera.project(points) - pixels).max() < 2
