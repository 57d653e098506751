"""What is fuzzed: valid files of every format, made here, and what reads them."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import yaml
from scipy.io import savemat

import poseact
from fuzz import mutations
from helpers.networks import action_network, small
from helpers.penn_action_files import write_penn_action
from helpers.pose_files import mpii_person, write_mpi_test, write_mpii
from poseact.actions.frame_pose import FramePose
from poseact.clips.features import ClipFeatures, read_kept, write_features
from poseact.clips.folder import find_clips
from poseact.data.blazepose import read_blazepose
from poseact.data.coco import read_coco
from poseact.data.lsp import read_lsp
from poseact.data.mmpose_files import read_cameras, read_labels
from poseact.data.mpii import read_mpii
from poseact.data.official.human36m_npz import read_positions
from poseact.data.official.mpi_inf_3dhp_official import read_mpi_inf_3dhp_official
from poseact.data.packed.pack import pack
from poseact.data.packed.shards import read_packed, read_packed_videos
from poseact.data.pose_table import PoseTable
from poseact.data.sequences.registry import read_sequences
from poseact.data.sources import SourceSpec
from poseact.data.synthetic import read_synthetic
from poseact.data.video_sources import VIDEO_ADAPTERS
from poseact.inference.boxes import read_boxes
from poseact.inference.records import FileRecord, JobFolder
from poseact.media import VideoReader, read_image
from poseact.recipe import load_recipe
from poseact.skeleton import COCO17, H36M17, PA16
from poseact.weights.keras_import import read_arrays

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Seed:
    """A valid file.

    Attributes:
        path: Where it lies, with all that belongs to it; only this file is mutated.
        read: Called with its path.
        mutate: How.
    """

    path: Path
    read: Read
    mutate: mutations.Mutation = mutations.of_bytes


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _picture(height: int = 24, width: int = 32) -> np.ndarray:
    return _rng().integers(0, 255, (height, width, 3)).astype(np.uint8)


def images(root: Path) -> list[Seed]:
    """PNG, JPEG, BMP, TIFF and WebP."""
    seeds = []
    for suffix in ("png", "jpg", "bmp", "tif", "webp"):
        path = root / f"a.{suffix}"
        cv2.imwrite(str(path), _picture())
        seeds.append(Seed(path, read_image))
    cv2.imwrite(str(root / "deep.tif"), _picture().astype(np.uint16) * 256)
    return [*seeds, Seed(root / "deep.tif", read_image)]


def _frames(path: Path) -> None:
    with VideoReader(path) as video:
        for frame in video:
            if frame.index > 50:
                break


def videos(root: Path) -> list[Seed]:
    """Common containers."""
    kinds = {"mp4": "libx264", "mkv": "libx264", "avi": "mpeg4", "mov": "mpeg4", "gif": "gif"}
    kinds |= {"ts": "mpeg2video", "flv": "flv", "webm": "libvpx", "mpg": "mpeg1video"}
    for suffix, codec in kinds.items():
        with av.open(str(root / f"a.{suffix}"), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
            for _ in range(4):
                frame = av.VideoFrame.from_ndarray(_picture(48, 64), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return [Seed(root / f"a.{suffix}", _frames) for suffix in kinds]


def mat(root: Path) -> list[Seed]:
    """MATLAB files of several data sets, compressed and not."""
    (root / "mpii").mkdir()
    points = _rng().uniform(0, 100, (16, 2)).tolist()
    write_mpii(
        root / "mpii", {"a.jpg": [mpii_person(points, [1])], "b.jpg": [mpii_person(points, [])]}
    )
    official = root / "mpii" / "mpii_human_pose_v1_u12_1.mat"
    seeds = [Seed(official, lambda path: read_mpii(path.parent))]
    for number, packed in enumerate((False, True)):
        penn = root / f"000{number}.mat"
        variables = {key: _rng().uniform(0, 9, (5, 13)) for key in ("x", "y")}
        variables |= {"visibility": np.ones((5, 13), np.uint8), "action": "jump", "train": 1}
        savemat(penn, variables, do_compression=packed)
        seeds.append(Seed(penn, lambda path: read_sequences(path, "penn")))
    kinect = root / "a1_s1_t1_skeleton.mat"
    savemat(kinect, {"d_skel": _rng().random((20, 3, 5))})
    (root / "lsp").mkdir()
    savemat(root / "lsp" / "joints.mat", {"joints": _rng().uniform(0, 90, (3, 14, 4))})
    return [
        *seeds,
        Seed(kinect, read_sequences),
        Seed(root / "lsp" / "joints.mat", lambda path: read_lsp(path.parent)),
    ]


def hdf5(root: Path) -> list[Seed]:
    """Keras weights, plain and compressed, and the test set of MPI-INF-3DHP."""
    seeds = []
    for number, options in enumerate(({}, {"compression": "gzip", "chunks": (2, 3)})):
        path = root / f"a{number}.h5"
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [b"conv", b"bn"]
            for layer in ("conv", "bn"):
                group = file.create_group(layer)
                group.attrs["weight_names"] = [f"{layer}/kernel:0".encode()]
                values = _rng().random((4, 6), np.float32)
                group.create_dataset(f"{layer}/kernel:0", data=values, **options)
        seeds.append(Seed(path, read_arrays))
    points = _rng().uniform(1000, 2000, (3, 17, 3))
    pixels = points[..., :2] / points[..., 2:] * 1000 + 500
    write_mpi_test(root, np.ones(3), pixels, points)
    official = root / "TS1" / "annot_data.mat"
    read = lambda path: read_mpi_inf_3dhp_official(path.parent.parent, part="test")  # noqa: E731
    return [*seeds, Seed(official, read)]


def safetensors(root: Path) -> list[Seed]:
    """Checkpoints and kept features."""
    seeds = []
    for name, network in (
        ("multitask", small("cvpr18-2d")),
        ("spnet", small("spnet-2d")),
        ("actions", action_network(("a", "b"))),
    ):
        path = poseact.save(network, root / f"{name}.safetensors")
        seeds.append(Seed(path, poseact.load, mutations.of_safetensors))
    kept = root / "kept.safetensors"
    arrays = (np.arange(4.0), np.ones((4, 16, 2), np.float32), np.ones((4, 16), np.float32))
    write_features(kept, ClipFeatures(*arrays, np.ones((4, 16, 3), np.float16), 0.5, 1))
    return [*seeds, Seed(kept, read_kept, mutations.of_safetensors)]


def _coco(root: Path) -> Path:
    (root / "images").mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(root / "images" / f"{number}.png"), _picture())
    points = [float(value) for joint in range(17) for value in (joint + 1, joint + 2, 2)]
    people = [
        {"id": n, "image_id": n, "category_id": 1, "track_id": 1, "label": "a", "iscrowd": 0}
        | {"area": 50.5, "bbox": [1, 2, 30, 20], "keypoints": points}
        for n in range(3)
    ]
    pictures = [
        {"id": n, "file_name": f"{n}.png", "width": 32, "height": 24, "video_id": 1, "frame_id": n}
        for n in range(3)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": [[1, 2]]}
    named = {**category, "id": 2, "keypoints": [f"left_{part}" for part in ("hip", "knee")]}
    content = {"images": pictures, "annotations": people, "categories": [category, named]}
    (root / "annotations.json").write_text(json.dumps(content))
    return root / "annotations.json"


def coco(root: Path) -> list[Seed]:
    """Keypoints of COCO."""
    path = _coco(root / "coco")
    return [Seed(path, lambda file: read_coco(file.parent), mutations.of_json)]


def tracks(root: Path) -> list[Seed]:
    """Tracks in COCO's JSON."""
    return [Seed(_coco(root / "coco"), read_sequences, mutations.of_json)]


def mpii_json(root: Path) -> list[Seed]:
    """The lists of MPII."""
    person = {"image": "a.jpg", "joints": [[1.5, 2.5]] * 16, "joints_vis": [1] * 16, "scale": 2.0}
    (root / "train.json").write_text(json.dumps([person, person]))
    read = lambda path: read_mpii(path.parent, labels=path.name)  # noqa: E731
    return [Seed(root / "train.json", read, mutations.of_json)]


def pickles(root: Path) -> list[Seed]:
    """Sequences of pyskl and cameras of mmpose, in several protocols."""
    person = {"frame_dir": "a", "label": 0, "keypoint": _rng().random((1, 4, 17, 2))}
    person |= {"keypoint_score": np.ones((1, 4, 17)), "total_frames": 4}
    content = {"split": {"train": ["a"], "test": ["b"]}, "annotations": [person]}
    lens = {"f": np.ones(2), "c": np.ones(2), "R": np.eye(3), "T": np.ones(3), "k": np.zeros(3)}
    seeds = []
    for protocol in (2, 4, 5):
        path, cameras = root / f"a{protocol}.pkl", root / f"c{protocol}.pkl"
        path.write_bytes(pickle.dumps(content, protocol))
        cameras.write_bytes(pickle.dumps({("S1", "1"): lens}, protocol))
        seeds += [Seed(path, read_sequences), Seed(cameras, read_cameras)]
    return seeds


def npz(root: Path) -> list[Seed]:
    """Sequences, and labels of several data sets."""
    path = root / "a.npz"
    np.savez_compressed(
        path, joints=_rng().random((5, 16, 2)), fps=30.0, label="a", skeleton="pa16"
    )
    blaze = root / "blazepose.npz"
    names = np.array(["a_0.jpg", "b_0.jpg"])
    np.savez(blaze, names=names, landmarks=np.ones((2, 33, 4)), world=np.ones((2, 33, 3)))
    packed = root / "h36m.npz"
    np.savez(packed, imgname=names, part=np.ones((2, 17, 3)), S=np.ones((2, 17, 4)))
    positions = root / "p.npz"
    by_action = {"S1": {"Walking 1": np.ones((3, 32, 3), np.float32)}}
    np.savez_compressed(positions, positions_3d=np.array(by_action, object))
    return [
        Seed(path, read_sequences, mutations.of_zip),
        Seed(blaze, lambda file: read_blazepose(file.parent), mutations.of_zip),
        Seed(packed, lambda file: read_labels(file, H36M17), mutations.of_zip),
        Seed(positions, lambda file: read_positions(file, 32), mutations.of_zip),
    ]


def recipes(root: Path) -> list[Seed]:
    """A recipe with stages."""
    source = {"adapter": "lsp", "root": str(root), "options": {"images": [1, 2]}}
    content = {"name": "a", "licence": "MIT", "network": {"preset": "tiny"}, "steps": 10}
    content |= {"data": {"train": {"lsp": source}}, "stages": {"one": {"seed": 1}, "two": {}}}
    content["network"] = {"preset": next(iter(poseact.PRESETS)), "changes": {"num_blocks": 2}}
    (root / "a.yaml").write_text(yaml.safe_dump(content))
    return [Seed(root / "a.yaml", load_recipe, mutations.of_text)]


def _videos(path: Path) -> None:
    for video in read_packed_videos(path.parent):
        video.poses.load()
        video.frames.read([0])


def _synthetic(root: Path) -> Path:
    point = [1.5, 2.5]
    labels = {"joints_px": [point, point], "depth_mm": [1.0, 2.0], "visible": [1, 0]}
    labels |= {"focal_px": point, "centre_px": point, "root_depth_mm": 3.0, "area_px": 4.0}
    labels |= {"sequence": "a", "frame": 0}
    members = {"a.jpg": cv2.imencode(".jpg", _picture())[1].tobytes()}
    members["a.json"] = json.dumps(labels).encode()
    root.mkdir()
    (root / "index.json").write_text('{"part": "train", "skeleton": ["pelvis", "head"]}')
    with tarfile.open(root / "train-00000.tar", "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return root / "train-00000.tar"


def shards(root: Path) -> list[Seed]:
    """Packed stills and videos, synthetic sets, and their indices."""
    _coco(root / "coco")
    stills, films = root / "stills", root / "films"
    pack(SourceSpec(adapter="coco", root=str(root / "coco")), stills)
    write_penn_action(root / "penn", ("a", "b"), videos=2, frames=3)
    pack(SourceSpec(adapter="penn-action", root=str(root / "penn"), clips=True), films)
    read_stills = lambda path: read_packed(path.parent)  # noqa: E731
    made = _synthetic(root / "synthetic")
    read_made = lambda path: read_synthetic(path.parent)  # noqa: E731
    return [
        Seed(stills / "000000.tar", read_stills, mutations.of_tar),
        Seed(films / "000000.tar", _videos, mutations.of_tar),
        Seed(made, read_made, mutations.of_tar),
        Seed(stills / "index.json", read_stills, mutations.of_json),
        Seed(films / "index.json", _videos, mutations.of_json),
        Seed(made.parent / "index.json", read_made, mutations.of_json),
    ]


def _record(path: Path) -> None:
    job = JobFolder(path.parent.parent)
    job.write_index(["a.mp4"], job.read_all(["a.mp4"]))


def records(root: Path) -> list[Seed]:
    """Records of a distributed prediction."""
    JobFolder(root).write(FileRecord("a.mp4", "done", "x", 1, 10, "host:1", 3, 0.5, True))
    return [Seed(root / "records" / "a.mp4.json", _record, mutations.of_json)]


def csv(root: Path) -> list[Seed]:
    """Tables of clips and of boxes."""
    (root / "a.mp4").touch()
    rows = "file,start,end,label,part\na.mp4,0,1,jump,train\na.mp4,1,2.5,run,test\n"
    (root / "clips.csv").write_text(rows)
    boxes = root / "boxes.csv"
    boxes.write_text("source;frame;x0;y0;x1;y1\na.mp4;0;1;2;30;40\na.mp4;1;1.5;2;30;40\n")
    return [
        Seed(root / "clips.csv", lambda path: find_clips(path.parent), mutations.of_text),
        Seed(boxes, read_boxes, mutations.of_text),
    ]


def _kinect(path: Path) -> None:
    read_sequences(path)
    for video in VIDEO_ADAPTERS["ntu"](path.parent.parent):
        video.poses.load()


def ntu(root: Path) -> list[Seed]:
    """Kinect's skeletons."""
    folder = root / "nturgb+d_skeletons"
    folder.mkdir()
    joints = "\n".join(" ".join(f"{j + k / 8:.4f}" for k in range(11)) + " 2" for j in range(25))
    body = "7205 0 1 1 0 0 0 0.1 0.2 2\n25\n" + joints
    path = folder / "S001C001P001R001A001.skeleton"
    path.write_text(f"3\n1\n{body}\n0\n2\n{body}\n{body.replace('7205', '7206')}\n")
    return [Seed(path, _kinect, mutations.of_text)]


def bvh(root: Path) -> list[Seed]:
    """Motion capture."""
    joint = "OFFSET 0 1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
    root_joint = joint.replace("3", "6 Xposition Yposition Zposition", 1)
    tree = f"HIERARCHY\nROOT Hips\n{{\n{root_joint}JOINT Spine\n{{\n{joint}End Site\n{{\n"
    tree += "OFFSET 0 1 0\n}\n}\n}\n"
    values = "\n".join(" ".join(str(k + n) for k in range(9)) for n in range(3))
    (root / "a.bvh").write_text(f"{tree}MOTION\nFrames: 3\nFrame Time: 0.0333\n{values}\n")
    return [Seed(root / "a.bvh", read_sequences, mutations.of_text)]


def parquet(root: Path) -> list[Seed]:
    """Tables that predict writes."""
    table = PoseTable("a.mp4", PA16, fps=30, width=64, height=48)
    for frame in range(4):
        places = _rng().random((16, 2), np.float32)
        numbers = (frame, frame / 30, 0, places, np.ones(16, np.float32), np.ones(16, bool))
        table.append(FramePose(*numbers, (0.0, 0.0, 9.0, 9.0)))
    table.write_parquet(root / "a.parquet")
    return [Seed(root / "a.parquet", read_sequences)]


TARGETS: dict[str, Callable[[Path], list[Seed]]] = {
    "images": images,
    "video containers": videos,
    ".mat": mat,
    ".h5": hdf5,
    "safetensors": safetensors,
    "COCO JSON": coco,
    "tracks JSON": tracks,
    "MPII JSON": mpii_json,
    "pickles": pickles,
    "npz": npz,
    "YAML": recipes,
    "shards": shards,
    "records": records,
    "CSV": csv,
    "NTU": ntu,
    "BVH": bvh,
    "Parquet": parquet,
}
