"""Small data sets in the official layouts, for tests."""

from __future__ import annotations

import cdflib.cdfwrite
import h5py
import numpy as np
from scipy.io import savemat


def mpii_person(points, hidden, corner=40.0, scale=2.0):
    point = np.array(
        [(x, y, joint, float(joint not in hidden)) for joint, (x, y) in enumerate(points)],
        [(name, object) for name in ("x", "y", "id", "is_visible")],
    )
    head = {"x1": 10.0, "y1": 20.0, "x2": corner, "y2": 60.0}
    return {**head, "annopoints": {"point": point}, "objpos": {"x": 300.5, "y": 200.5}} | {
        "scale": scale
    }


def write_mpii(root, people_of_images):
    """The official file, all of it training images."""
    annolist = np.zeros(len(people_of_images), [("image", object), ("annorect", object)])
    alone = np.empty((len(people_of_images), 1), object)
    for index, (name, people) in enumerate(people_of_images.items()):
        records = np.zeros(len(people), [(key, object) for key in people[0]])
        for place, person in enumerate(people):
            records[place] = tuple(person.values())
        annolist[index] = ({"name": name}, records)
        alone[index, 0] = np.arange(1.0, len(people) + 1)
    release = {"annolist": annolist, "single_person": alone}
    release["img_train"] = np.ones(len(people_of_images))
    savemat(root / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})


LENS = [1145.0, 1143.8, 512.5, 515.5, -0.2071, 0.2478, -0.0031, -0.0014, -0.00098]


def write_metadata(path, placings, lenses):
    """``metadata.xml`` with (4, 11, 6) placings and (4, 9) lenses."""
    numbers = np.concatenate((np.ravel(placings), np.ravel(lenses)))
    assert len(numbers) == 300
    text = " ".join(f"{number:.15g}" for number in numbers)
    path.write_text(f"<?xml version='1.0'?><metadata><dbcameras/><w0>[{text}]</w0></metadata>")


def write_cdf(path, poses):
    """``Pose`` as the release has it: one record of N rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = poses.reshape(len(poses), -1).astype(np.float32)
    file = cdflib.cdfwrite.CDF(path, {"Compressed": 0}, delete=True)
    spec = {"Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True}
    spec |= {"Dim_Sizes": list(flat.shape), "Var_Type": "zVariable"}
    file.write_var(spec, var_data=flat[None])
    file.close()


def room_poses(count, seed=0):
    """``(N, 32, 3)`` mm around the middle of the room, 1 m above the floor."""
    rng = np.random.default_rng(seed)
    return rng.normal((0, 0, 1000), 300, (count, 32, 3))


def write_calibration(path, cameras):
    """``camera.calibration`` of {number: (4 x 4 intrinsic, 4 x 4 extrinsic)}."""
    lines = ["Skeleton-like header V1.0"]
    for number, (lens, placing) in cameras.items():
        lines += [f"name          {number}", "  sensor      10 10", "  size        2048 2048"]
        lines += ["  animated    0"]
        lines += [
            f"  {key}   {' '.join(f'{v:.7g}' for v in matrix.ravel())} "
            for key, matrix in (("intrinsic", lens), ("extrinsic", placing))
        ]
        lines += ["  radial      0"]
    path.write_text("\n".join(lines) + "\n")


def pinhole(focal=1500.0):
    lens = np.eye(4)
    lens[0, 0], lens[1, 1], lens[0, 2], lens[1, 2] = focal, focal + 1, 1024, 1050
    return lens


def camera_poses(count, joints, seed=0):
    return np.random.default_rng(seed).normal((0, 0, 3500), 300, (count, joints, 3))


def project(points, lens):
    flat = points @ lens[:3, :3].T
    return flat[..., :2] / flat[..., 2:]


def write_mpi_test(root, valid, pixels, points):
    folder = root / "TS1"
    folder.mkdir(exist_ok=True)
    with h5py.File(folder / "annot_data.mat", "w", userblock_size=512) as file:
        file["valid_frame"] = np.array(valid, float)[:, None]
        file["annot2"] = pixels[:, None]
        file["annot3"] = points[:, None]
        file["univ_annot3"] = 0.9 * points[:, None]
