"""Contents of the official distributions of the data sets, with the official counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from poseact.data.camera import Camera
from poseact.data.jhmdb import read_jhmdb
from poseact.data.mmpose_files import read_human36m, read_mpi_inf_3dhp
from poseact.data.mpii import read_mpii
from poseact.data.ntu import read_ntu_videos
from poseact.data.official.human36m_cameras import VIEWS, read_human36m_cameras
from poseact.data.official.human36m_official import (
    extracted_frames,
    read_cdf_poses,
    read_human36m_official,
    read_human36m_videopose3d,
)
from poseact.data.official.mpi_inf_3dhp_official import read_mpi_inf_3dhp_official
from poseact.data.penn_action import read_penn_action
from poseact.data.sample import PoseSample
from poseact.data.video import LabelledVideo
from poseact.skeleton import Skeleton

Labelled = Sequence[PoseSample] | Sequence[LabelledVideo]

# Of data sets with millions of frames, every n-th frame is read.
_SPARSE = 200


@dataclass(frozen=True)
class Files:
    """Files of a distribution.

    Attributes:
        what: They are, such as ``the pictures``.
        patterns: Where they lie below the root, any of these.
        official: How many there are; several numbers where the data set grew, none if not known.
        advice: What to do where there are none.
    """

    what: str
    patterns: tuple[str, ...]
    official: tuple[int, ...]
    advice: str


@dataclass(frozen=True)
class Reading:
    """One way of reading a distribution.

    Attributes:
        name: Of what is read, such as ``people to validate with``.
        when: Pattern of the labels that it needs; without them it is not tried.
        read: Reads the root into a skeleton.
        official: How many there are; none where not all is read, or the number is not known.
        parts: How many videos there are of each part.
    """

    name: str
    when: str
    read: Callable[[Path, Skeleton], Labelled]
    official: tuple[int, ...] = ()
    parts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Distribution:
    """An official distribution.

    Attributes:
        files: What it consists of.
        readings: How it is read.
        source: Where the official numbers come from.
        measure: Looks at the labels' agreement with the cameras: gives a sentence, or None where
            the files for it are missing.
    """

    files: tuple[Files, ...]
    readings: tuple[Reading, ...]
    source: str
    measure: Callable[[Path], str | None] = lambda _root: None


def camera_gap(root: Path) -> str | None:
    """Distance in px of Human3.6M's labels from the projection of the first take."""
    for file in sorted(root.glob("S*/MyPoseFeatures/D2_Positions/*.cdf")):
        subject, action, view = file.parts[-4], *file.stem.rsplit(".", 1)
        deep = file.parent.with_name("D3_Positions") / f"{action}.cdf"
        if view in VIEWS and deep.is_file() and (root / "metadata.xml").is_file():
            camera: Camera = read_human36m_cameras(root / "metadata.xml")[subject, view]
            pixels, world = read_cdf_poses(file, 2), read_cdf_poses(deep, 3)
            length = min(len(pixels), len(world))
            gap = np.abs(camera.project(world[:length]) - pixels[:length]).max()
            return f"The cameras meet the labels of {subject} {file.stem} within {gap:.3f} px."
    return None


def sparse_human36m(root: Path, skeleton: Skeleton) -> list[PoseSample]:
    """Every 200th pose, with extracted frames if available, else with frames of the videos."""
    images = extracted_frames(root)
    return read_human36m_official(root, skeleton, images=images, every=_SPARSE)


_MPII_MAT = "mpii_human_pose_v1_u12_1.mat"

MPII = Distribution(
    files=(
        Files("the labels", (_MPII_MAT,), (1,), "unpack mpii_human_pose_v1_u12_2.zip"),
        Files("the pictures", ("images/*.jpg",), (), "unpack mpii_human_pose_v1.tar.gz"),
        Files(
            "the lists train.json and valid.json",
            ("train.json", "valid.json", "annot/train.json", "annot/valid.json"),
            (2,),
            "put the lists that go with the usual validation set there; PCKh needs them",
        ),
    ),
    readings=(
        Reading("labelled people", _MPII_MAT, read_mpii),
        Reading(
            "people to train with", "**/train.json", partial(read_mpii, part="train"), (22_246,)
        ),
        Reading(
            "people to validate with", "**/valid.json", partial(read_mpii, part="valid"), (2_958,)
        ),
    ),
    source="the lists of Tompson et al., 2015, and Newell et al., 2016",
)

HUMAN36M = Distribution(
    files=(
        Files(
            "the poses in mm",
            ("S*/MyPoseFeatures/D3_Positions/*.cdf",),
            (7 * 30,),
            "unpack Poses_D3_Positions of each subject",
        ),
        Files(
            "the poses in px",
            ("S*/MyPoseFeatures/D2_Positions/*.cdf",),
            (7 * 30 * 4,),
            "unpack Poses_D2_Positions of each subject, or let the cameras project the poses in mm",
        ),
        Files(
            "the cameras",
            ("metadata.xml",),
            (1,),
            "copy metadata.xml from the data set's software",
        ),
        Files(
            "the videos",
            ("S*/Videos/[!_]*.mp4",),
            (7 * 30 * 4,),
            "unpack Videos of each subject, or give extracted frames as images",
        ),
    ),
    readings=(
        Reading(
            f"poses, 1 of {_SPARSE} frames",
            "S*/MyPoseFeatures/D3_Positions/*.cdf",
            sparse_human36m,
        ),
        Reading(
            f"poses as packed for VideoPose3D, 1 of {_SPARSE} frames",
            "data_3d_h36m.npz",
            partial(read_human36m_videopose3d, every=_SPARSE),
        ),
        Reading(
            "training poses as packed for mmpose",
            "annotation_body3d/fps50/h36m_train.npz",
            partial(read_human36m, every=_SPARSE),
        ),
        Reading(
            "test poses as packed for mmpose",
            "annotation_body3d/fps50/h36m_test.npz",
            partial(read_human36m, every=_SPARSE, labels="annotation_body3d/fps50/h36m_test.npz"),
        ),
    ),
    source="the 7 subjects with poses, each with 30 takes seen by 4 cameras (Pavllo et al., 2019)",
    measure=camera_gap,
)

PENN_ACTION = Distribution(
    files=(
        Files("the labels", ("labels/*.mat",), (2_326,), "unpack Penn_Action.tar.gz"),
        Files("folders of frames", ("frames/*/",), (2_326,), "unpack Penn_Action.tar.gz"),
    ),
    readings=(
        # Video 1516 of the training part has no visible joint.
        Reading(
            "videos",
            "labels/*.mat",
            read_penn_action,
            (2_325,),
            parts=(("train", 1_257), ("test", 1_068)),
        ),
    ),
    source="its label files; one of the 1,258 videos to train with has no visible joint",
)

NTU = Distribution(
    files=(
        Files(
            "the skeletons",
            ("nturgb+d_skeletons/*.skeleton",),
            (56_880, 114_480),
            "unpack nturgbd_skeletons_s001_to_s017.zip and, for 120 actions, …_s018_to_s032.zip",
        ),
        Files(
            "the videos",
            ("nturgb+d_rgb/*_rgb.avi",),
            (56_880, 114_480),
            "unpack the archives nturgbd_rgb_s001.zip and so on into one folder",
        ),
        Files(
            "the lists of samples with missing skeletons",
            ("*samples_with_missing_skeletons*.txt",),
            (1, 2),
            "copy them from https://github.com/shahroudy/NTURGB-D, folder Matlab",
        ),
    ),
    readings=(
        Reading(
            "videos with skeletons of the first 60 actions",
            "nturgb+d_skeletons/*.skeleton",
            partial(read_ntu_videos, classes=60),
            (56_880 - 302,),
        ),
        Reading(
            "videos with skeletons",
            "nturgb+d_skeletons/*A061.skeleton",
            partial(read_ntu_videos, classes=120),
            (114_480 - 535,),
        ),
    ),
    source="Shahroudy et al., 2016, and Liu et al., 2019, less their lists of missing skeletons",
)

JHMDB = Distribution(
    files=(
        Files(
            "the joints",
            ("joint_positions/*/*/joint_positions.mat",),
            (928,),
            "unpack joint_positions.zip",
        ),
        Files("folders of pictures", ("Rename_Images/*/*/",), (928,), "unpack Rename_Images.zip"),
        Files("the splits", ("splits/*_test_split?.txt",), (21 * 3,), "unpack splits.zip"),
    ),
    readings=(Reading("videos", "joint_positions/*/*/*.mat", read_jhmdb, (928,)),),
    source="Jhuang et al., 2013: 928 videos of 21 actions",
)

_SEQUENCES = 8 * 2

MPI_INF_3DHP = Distribution(
    files=(
        Files(
            "the labels to train with",
            ("S*/Seq*/annot.mat",),
            (_SEQUENCES,),
            "fetch them by the data set's get_dataset.sh",
        ),
        Files(
            "the calibrations",
            ("S*/Seq*/camera.calibration",),
            (_SEQUENCES,),
            "fetch them by the data set's get_dataset.sh",
        ),
        Files(
            "the videos",
            ("S*/Seq*/imageSequence/video_*.avi",),
            (_SEQUENCES * 8, _SEQUENCES * 14),
            "unpack the archives in each imageSequence, or give extracted frames as images",
        ),
        Files(
            "the labels to test with",
            ("TS*/annot_data.mat",),
            (6,),
            "fetch them by the data set's get_testset.sh; the root is then the folder of TS1",
        ),
    ),
    readings=(
        Reading(
            f"poses to train with, 1 of {_SPARSE} frames",
            "S*/Seq*/annot.mat",
            partial(read_mpi_inf_3dhp_official, every=_SPARSE),
        ),
        Reading(
            "poses to test with",
            "TS*/annot_data.mat",
            partial(read_mpi_inf_3dhp_official, part="test"),
        ),
        Reading(
            "training poses as packed for mmpose",
            "annotations/mpi_inf_3dhp_train.npz",
            partial(read_mpi_inf_3dhp, every=_SPARSE),
        ),
    ),
    source="Mehta et al., 2017: 8 subjects with 2 sequences each, 14 cameras, 6 test sequences",
)

DISTRIBUTIONS: dict[str, Distribution] = {
    "mpii": MPII,
    "human36m": HUMAN36M,
    "penn-action": PENN_ACTION,
    "ntu": NTU,
    "jhmdb": JHMDB,
    "mpi-inf-3dhp": MPI_INF_3DHP,
}
