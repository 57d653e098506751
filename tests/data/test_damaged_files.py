"""Files that are damaged, lie about their size, or refer to other files."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress

import cv2
import h5py
import numpy as np
import pytest
from scipy.io import savemat

from helpers.ntu_jhmdb_files import ntu_body, write_skeletons
from poseact import PoseActError
from poseact._utils.boundary import (
    inside,
    one_sentence,
    parse_json,
    reason_of,
    require_bounded,
)
from poseact.data.blazepose import read_blazepose
from poseact.data.coco import read_coco
from poseact.data.formats.label_files import read_json, read_mat, read_npz
from poseact.data.formats.mat_file import load_variables
from poseact.data.formats.plain_pickle import plain_pickle
from poseact.data.formats.tar_file import members_of
from poseact.data.lsp import read_lsp
from poseact.data.mmpose_files import read_cameras
from poseact.data.mpii import read_mpii
from poseact.data.packed.pack import pack
from poseact.data.packed.shards import read_packed
from poseact.data.pose_table import PoseTable
from poseact.data.sequences.registry import read_sequences
from poseact.data.sources import SourceSpec
from poseact.data.video_labels import converted_poses
from poseact.media import read_image
from poseact.skeleton import COCO17, PA16
from poseact.weights.keras_import import read_arrays

POINTS = [float(value) for joint in range(17) for value in (joint + 1, joint + 2, 2)]


def coco(root, annotations=None, images=None):
    (root / "images").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / "images" / "a.png"), np.zeros((24, 32, 3), np.uint8))
    person = {"id": 0, "image_id": 0, "keypoints": POINTS, "track_id": 1}
    content = {"images": [{"id": 0, "file_name": "a.png"}], "annotations": [person]}
    content["images"] += images or []
    content["annotations"] += annotations or []
    (root / "annotations.json").write_text(json.dumps(content))
    return person


class TestBoundary:
    def test_any_exception_becomes_one_sentence(self):
        for error in (RecursionError(), MemoryError(), SystemError("a\nb"), KeyError("c")):
            told = pytest.raises(PoseActError, match=r"^The file \(\S.*\) is bad\.$")
            with told, one_sentence("The file ({error}) is bad."):
                raise error

    def test_a_missing_key_is_called_missing(self):
        assert reason_of(KeyError("box")) == "there is no 'box'"
        assert reason_of(KeyError()) == "KeyError"

    def test_an_error_from_within_stays(self):
        with pytest.raises(PoseActError, match=r"^inner$"), one_sentence("outer {error}"):
            raise PoseActError("inner")

    @pytest.mark.parametrize("text", ["[" * 10**5, '{"a":' * 10**5, "9" * 5000, "{", b"\xff"])
    def test_json_fails_in_one_way(self, text, tmp_path):
        with pytest.raises(ValueError, match=r".+"):
            parse_json(text)
        (tmp_path / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(PoseActError, match=r"a\.json"):
            read_json(tmp_path / "a.json", "labels")

    def test_shared_values_count_as_often_as_they_stand(self):
        content = ["x"]
        for _ in range(40):
            content = [content, content]
        with pytest.raises(ValueError, match="stands for more"):
            require_bounded(content, 10**6)
        endless = []
        endless.append(endless)
        with pytest.raises(ValueError, match="too deeply"):
            require_bounded(endless, 10**6)
        require_bounded({"a": [1, (2, 3)], "b": np.zeros(9)}, 30)

    @pytest.mark.parametrize(
        "name",
        [
            "/etc/passwd",
            "../a.jpg",
            "a/../../b.jpg",
            "..\\a.jpg",
            "C:\\a.jpg",
            "",
            "a\0b",
            "x" * 300,
        ],
    )
    def test_names_that_lead_out_of_the_folder(self, name, tmp_path):
        with pytest.raises(ValueError, match="name"):
            inside(tmp_path, name)

    def test_names_inside(self, tmp_path):
        assert inside(tmp_path, "v/a..jpg") == tmp_path / "v" / "a..jpg"


class TestMatlab:
    def content(self, tmp_path, **options):
        nested = {"cell": np.array([[1.5, "text"]], object), "struct": {"a": np.eye(3), "b": 2}}
        variables = {**nested, "complex": np.array([[1 + 2j]]), "other": np.ones(3)}
        savemat(tmp_path / "a.mat", variables, **options)
        return (tmp_path / "a.mat").read_bytes()

    @pytest.mark.parametrize("packed", [False, True])
    def test_whole_files_are_read(self, tmp_path, packed):
        content = self.content(tmp_path, do_compression=packed)
        found = load_variables(content, ("cell", "struct", "complex"))
        assert found["cell"][0, 1] == "text"
        assert found["struct"][0, 0].a.tolist() == np.eye(3).tolist()
        assert found["complex"][0, 0] == 1 + 2j
        assert "other" in found

    @pytest.mark.slow(covers=True)
    def test_no_changed_byte_ends_the_process(self, tmp_path):
        content = self.content(tmp_path)
        outcomes = set()
        for place in range(128, len(content)):
            for value in (0, 8, 0x15, 0xFF):
                changed = content[:place] + bytes([value]) + content[place + 1 :]
                (tmp_path / "b.mat").write_bytes(changed)
                try:
                    read_mat(tmp_path / "b.mat", "struct", "labels")
                    outcomes.add("read")
                except PoseActError:
                    outcomes.add("refused")
        assert outcomes == {"read", "refused"}

    def test_sizes_are_claims(self, tmp_path):
        savemat(tmp_path / "a.mat", {"x": np.ones((2, 3))})
        content = (tmp_path / "a.mat").read_bytes()
        shape = struct.pack("<2i", 2, 3)
        (tmp_path / "a.mat").write_bytes(content.replace(shape, struct.pack("<2i", 2, 2**30)))
        with pytest.raises(PoseActError, match=r"claims|bytes"):
            read_mat(tmp_path / "a.mat", "x", "labels")

    def test_cells_in_the_place_of_numbers(self, tmp_path):
        cells = np.full((3, 14, 2), "text", object)
        savemat(tmp_path / "joints.mat", {"joints": cells})
        with pytest.raises(PoseActError, match="not numbers"):
            read_lsp(tmp_path)
        x = np.ones((2, 13))
        facts = {"x": x, "y": x, "visibility": x, "action": "jump"}
        for train in (np.nan, "1", np.array([["a"]], object)):
            savemat(tmp_path / "0001.mat", {**facts, "train": train})
            with pytest.raises(PoseActError, match=r"0001\.mat"):
                read_sequences(tmp_path / "0001.mat", "penn")

    def test_a_packed_element_cannot_grow_without_end(self, tmp_path):
        head = self.content(tmp_path)[:128]
        element = zlib.compress(struct.pack("<II", 14, 2**30) + bytes(2**27), 9)
        (tmp_path / "a.mat").write_bytes(head + struct.pack("<II", 15, len(element)) + element)
        with pytest.raises(PoseActError, match="more than"):
            read_mat(tmp_path / "a.mat", "x", "labels")


class TestArchives:
    def archive(self, path, header, data=b""):
        text = header.ljust(118).encode() + b"\n"
        member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", member)

    @pytest.mark.parametrize(
        ("header", "data"),
        [
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", b""),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 1000000000000), }", b""),
            ("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }", b""),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (), }", pickle.dumps(1)),
            ("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", b"\xff\xff\xff\x7f"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (", b""),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", bytes(16)),
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (10**9,), }", b""),
        ],
    )
    def test_headers_that_make_no_sense(self, tmp_path, header, data):
        self.archive(tmp_path / "a.npz", header, data)
        with pytest.raises(PoseActError, match="not a complete NumPy archive"):
            read_npz(tmp_path / "a.npz", ("x",), "labels")

    def test_a_small_file_cannot_unfold_to_a_gigabyte(self, tmp_path):
        header = "{'descr': '|u1', 'fortran_order': False, 'shape': (200000000,), }"
        self.archive(tmp_path / "a.npz", header, bytes(200_000_000))
        with pytest.raises(PoseActError, match="claims"):
            read_npz(tmp_path / "a.npz", ("x",), "labels")

    def test_texts_in_the_place_of_numbers(self, tmp_path):
        texts = np.full((1, 33, 4), "x")
        np.savez(
            tmp_path / "blazepose.npz", names=["a"], landmarks=texts, world=np.ones((1, 33, 3))
        )
        with pytest.raises(PoseActError, match="not numbers"):
            read_blazepose(tmp_path)
        np.savez(tmp_path / "blazepose.npz", names="a", landmarks=texts, world=texts)
        with pytest.raises(PoseActError, match="list of strings"):
            read_blazepose(tmp_path)

    def test_members_that_are_no_arrays(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("joints.npy", b"text")
        with pytest.raises(PoseActError, match="not a complete NumPy archive"):
            read_sequences(tmp_path / "a.npz")


class TestPickles:
    def test_a_memo_is_no_claim_on_memory(self, tmp_path):
        (tmp_path / "a.pkl").write_bytes(b"\x80\x02]r" + struct.pack("<I", 2**27) + b".")
        with pytest.raises(PoseActError, match="memo"):
            read_cameras(tmp_path / "a.pkl")

    def test_shared_lists_do_not_grow(self, tmp_path):
        content = ["x"]
        for _ in range(40):
            content = [content, content]
        (tmp_path / "a.pkl").write_bytes(pickle.dumps({"annotations": content}))
        with pytest.raises(PoseActError, match="stands for more"):
            read_sequences(tmp_path / "a.pkl")

    def test_tuples_are_not_looked_up_for_ever(self, tmp_path):
        # A key of a dictionary that is two times the same tuple, which is two times the same …
        key = b"K\x01\x85" + b"2\x86" * 60
        (tmp_path / "a.pkl").write_bytes(b"\x80\x02}" + key + b"K\x01s.")
        with pytest.raises(PoseActError, match="tuple stands for more"):
            read_sequences(tmp_path / "a.pkl")

    @pytest.mark.parametrize("kind", [dict.fromkeys, set, frozenset])
    def test_keys_that_could_have_equal_hashes_are_few(self, kind):
        assert len(plain_pickle(pickle.dumps(kind(range(1000))))) == 1000
        assert len(plain_pickle(pickle.dumps(kind(map(str, range(9000)))))) == 9000
        with pytest.raises(ValueError, match="keys that are not strings"):
            plain_pickle(pickle.dumps(kind(range(9000))))

    def test_an_array_that_is_named_often_counts_often(self, tmp_path):
        points = np.zeros((1, 400, 17, 2))
        person = {"frame_dir": "a", "label": 0, "keypoint": points}
        (tmp_path / "a.pkl").write_bytes(
            pickle.dumps([person] + [dict(person) for _ in range(999)])
        )
        with pytest.raises(PoseActError, match="stands for more"):
            read_sequences(tmp_path / "a.pkl")

    def test_an_empty_array_has_no_giant_shape(self, tmp_path):
        person = {"frame_dir": "a", "label": 0, "keypoint": np.zeros((0, 10**12, 17, 2))}
        (tmp_path / "a.pkl").write_bytes(pickle.dumps([person]))
        with pytest.raises(PoseActError, match="without numbers"):
            read_sequences(tmp_path / "a.pkl")


class TestHdf5:
    def keras(self, path, add):
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [b"a"]
            group = file.create_group("a")
            group.attrs["weight_names"] = [b"k"]
            add(group)
        return path

    def refused(self, path, reason):
        with pytest.raises(PoseActError, match=reason):
            read_arrays(path)

    def test_nothing_outside_is_read(self, tmp_path):
        other = tmp_path / "secret.h5"
        with h5py.File(other, "w") as file:
            file["k"] = np.ones(3)
        layout = h5py.VirtualLayout((3,), "f4")
        layout[:] = h5py.VirtualSource(str(other), "k", (3,))
        adders = {
            "external": lambda group: group.create_dataset(
                "k", (4,), "u1", external=[(str(other), 0, 4)]
            ),
            "virtual": lambda group: group.create_virtual_dataset("k", layout),
            "link": lambda group: group.__setitem__("k", h5py.ExternalLink(str(other), "k")),
            "soft": lambda group: group.__setitem__("k", h5py.SoftLink("/a")),
        }
        for name, add in adders.items():
            self.refused(self.keras(tmp_path / f"{name}.h5", add), "lies in another file|elsewhere")

    def test_claims_are_compared_with_the_file(self, tmp_path):
        claims = {
            "giant": lambda group: group.create_dataset("k", (2**40,), "f4"),
            "fill": lambda group: group.create_dataset("k", (10**8,), "f4", fillvalue=1),
            "packed": lambda group: group.create_dataset(
                "k", data=np.zeros(10**7), compression="gzip"
            ),
        }
        for name, add in claims.items():
            self.refused(self.keras(tmp_path / f"{name}.h5", add), "claims")

    def test_one_array_under_many_names(self, tmp_path):
        def add(group):
            group["k"] = np.zeros(10**5, np.float32)
            group.attrs["weight_names"] = [b"k"] * 1000

        self.refused(self.keras(tmp_path / "a.h5", add), "claims")


class TestShards:
    @pytest.fixture
    def packed(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("packed")
        person = {"id": 1, "image_id": 0, "keypoints": POINTS}
        coco(root / "coco", [person, {**person, "id": 2}])
        pack(SourceSpec(adapter="coco", root=str(root / "coco")), root / "out")
        return root / "out"

    def changed(self, packed, tmp_path, name, content):
        """The pack with another content of a member."""
        (tmp_path / "index.json").write_bytes((packed / "index.json").read_bytes())
        with (
            tarfile.open(packed / "000000.tar") as before,
            tarfile.open(tmp_path / "000000.tar", "w") as after,
        ):
            for entry in before.getmembers():
                file = before.extractfile(entry)
                data = content if entry.name == name else file.read()
                entry.size = len(data)
                after.addfile(entry, io.BytesIO(data))
        return tmp_path

    @pytest.mark.parametrize(
        "labels", [b"[" * 10**5, b"9" * 5000, b"{}", b"[]", b'{"joints": [1]}', b"\xff"]
    )
    def test_a_damaged_sample_is_left_out_and_named(self, packed, tmp_path, labels, caplog):
        root = self.changed(packed, tmp_path, "0000001.json", labels)
        assert len(read_packed(root)) == 2
        assert "1 of 3 samples" in caplog.text
        assert "sample 0000001" in caplog.text

    def test_a_sample_without_a_picture_is_left_out(self, packed, tmp_path, caplog):
        (tmp_path / "index.json").write_bytes((packed / "index.json").read_bytes())
        with (
            tarfile.open(packed / "000000.tar") as before,
            tarfile.open(tmp_path / "000000.tar", "w") as after,
        ):
            for entry in before.getmembers():
                if entry.name != "0000001.png":
                    after.addfile(entry, before.extractfile(entry))
        assert len(read_packed(tmp_path)) == 2
        assert "sample 0000001" in caplog.text

    def test_labels_of_giant_numbers(self, packed, tmp_path):
        with tarfile.open(packed / "000000.tar") as archive:
            labels = json.loads(archive.extractfile("0000001.json").read())
        for change in ({"dims": 10**12}, {"box": [10**400] * 4}, {"joints": {"pelvis": [1]}}):
            content = json.dumps(labels | change).encode()
            assert len(read_packed(self.changed(packed, tmp_path, "0000001.json", content))) == 2

    @pytest.mark.parametrize("count", [10**12, 2**63, 10**30])
    def test_an_index_claims_any_number_of_items(self, packed, tmp_path, count):
        index = json.loads((packed / "index.json").read_text()) | {"count": count, "shard_size": 1}
        (tmp_path / "index.json").write_text(json.dumps(index))
        with pytest.raises(PoseActError, match=r"lacks \d+ of its \d+ shards"):
            read_packed(tmp_path)

    def test_members_are_plain_files_within_the_shard(self, tmp_path):
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE):
            with tarfile.open(tmp_path / "a.tar", "w") as archive:
                entry = tarfile.TarInfo("0.json")
                entry.type, entry.linkname = kind, "/etc/passwd"
                archive.addfile(entry)
            with pytest.raises(ValueError, match="no plain file"):
                members_of(tmp_path / "a.tar")
        head = tarfile.TarInfo("0.json")
        head.size = 10**9
        (tmp_path / "a.tar").write_bytes(head.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
        with pytest.raises(ValueError, match="cut short"):
            members_of(tmp_path / "a.tar")


class TestLabels:
    @pytest.mark.parametrize(
        "change",
        [
            {"image_id": [0]},
            {"keypoints": [10**400] * 51},
            {"keypoints": [["x"]] * 51},
            {"keypoints": {"a": 1}},
            {"category_id": {}},
            {"image_id": None},
        ],
    )
    def test_one_entry_of_wrong_types_is_left_out(self, tmp_path, change, caplog):
        coco(tmp_path, [{"id": 7, "image_id": 0, "keypoints": POINTS, "track_id": 2} | change])
        assert len(read_coco(tmp_path)) == 1
        # A track of no known category has COCO's joints.
        expected = 2 if "category_id" in change else 1
        assert len(read_sequences(tmp_path / "annotations.json")) == expected
        assert "annotation 7" in caplog.text

    @pytest.mark.parametrize("key", ["images", "annotations", "categories"])
    @pytest.mark.parametrize("value", [5, {"a": 1}, [5], [None], [[1]], "text"])
    def test_parts_of_wrong_types(self, tmp_path, key, value):
        coco(tmp_path)
        file = tmp_path / "annotations.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
        for read in (lambda: read_coco(tmp_path), lambda: read_sequences(file)):
            with suppress(PoseActError):
                read()

    @pytest.mark.parametrize("joints", [10**400, [[10**400, 1]] * 16, "x", [[1, 2]] * 15, None])
    def test_people_of_mpii(self, tmp_path, joints, caplog):
        good = {"image": "a.jpg", "joints": [[1, 2]] * 16, "joints_vis": [1] * 16}
        (tmp_path / "a.json").write_text(json.dumps([good, good | {"joints": joints}]))
        assert len(read_mpii(tmp_path, labels="a.json")) == 1
        assert "person 1" in caplog.text

    def test_pictures_outside_of_the_folder_are_not_packed(self, tmp_path, caplog):
        (tmp_path / "secret.txt").write_text("password")
        names = ["../secret.txt", str(tmp_path / "secret.txt"), "../annotations.json"]
        pictures = [{"id": 1 + n, "file_name": name} for n, name in enumerate(names)]
        people = [{"id": 1 + n, "image_id": 1 + n, "keypoints": POINTS} for n in range(3)]
        coco(tmp_path / "c", people, pictures)
        pack(SourceSpec(adapter="coco", root=str(tmp_path / "c")), tmp_path / "o")
        assert b"password" not in (tmp_path / "o" / "000000.tar").read_bytes()
        assert "leads out of" in caplog.text

    def test_a_name_that_leads_out_is_left_out(self, tmp_path, caplog):
        landmarks = np.ones((2, 33, 4))
        facts = {
            "names": ["../a.jpg", "b.jpg"],
            "landmarks": landmarks,
            "world": landmarks[..., :3],
        }
        np.savez(tmp_path / "blazepose.npz", **facts)
        assert [sample.name for sample in read_blazepose(tmp_path)] == ["b.jpg"]
        assert "1 of 2 names" in caplog.text

    @pytest.mark.skipif(os.name != "posix", reason="needs devices")
    def test_devices_and_pipes_are_no_pictures(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "device.png").symlink_to("/dev/zero")
        os.mkfifo(tmp_path / "images" / "pipe.png")
        pictures = [{"id": 1, "file_name": "device.png"}, {"id": 2, "file_name": "pipe.png"}]
        coco(tmp_path, [{"id": n, "image_id": n, "keypoints": POINTS} for n in (1, 2)], pictures)
        report = pack(SourceSpec(adapter="coco", root=str(tmp_path)), tmp_path / "out")
        assert len(report.skipped) == 2
        with pytest.raises(PoseActError, match="is not a file"):
            read_image(tmp_path / "images" / "device.png")

    def test_what_is_no_picture_is_not_packed(self, tmp_path):
        picture = {"id": 1, "file_name": "b.png"}
        coco(tmp_path / "c", [{"id": 1, "image_id": 1, "keypoints": POINTS}], [picture])
        (tmp_path / "c" / "images" / "b.png").write_text("password")
        report = pack(SourceSpec(adapter="coco", root=str(tmp_path / "c")), tmp_path / "o")
        assert list(report.skipped) == ["b.png#1"]
        assert b"password" not in (tmp_path / "o" / "000000.tar").read_bytes()


class TestFrames:
    def test_many_bodies_in_many_frames(self, tmp_path):
        path = tmp_path / "S001C001P001R001A001.skeleton"
        write_skeletons(path, [[ntu_body(seed)] for seed in range(3)])
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(["200003\n", *lines[1:], "0\n" * 200_000]))
        (sequence,) = read_sequences(path)
        assert len(sequence) <= 3

    def test_windows_writes_numbers_that_are_none_in_other_words(self, tmp_path):
        path = tmp_path / "S001C001P001R001A001.skeleton"
        bodies = [ntu_body(0, 0.1 * frame) for frame in range(3)]
        bodies[1][7, :3] = 0.125, 0.375, 0.625
        write_skeletons(path, [[body] for body in bodies])
        text = path.read_text()
        path.write_text(text.replace("0.125", "-nan(ind)").replace("0.375", "1.#QNAN"))
        (sequence,) = read_sequences(path)
        assert np.argwhere(sequence.confidence == 0).tolist() == [[1, 7]]

    def test_boxes_of_many_frames(self):
        valid = np.zeros((50_000, 17), bool)
        valid[::2] = True
        joints = np.broadcast_to(np.arange(50_000.0)[:, None, None], (50_000, 17, 2))
        poses = converted_poses("a", COCO17, COCO17, joints, valid=valid)
        assert poses.boxes[:4, 0].tolist() == [0, 0, 2, 2]

    def test_bvh_with_joints_and_frames_that_take_no_place(self, tmp_path):
        joint = "JOINT a\n{\nOFFSET 0 0 0\n" * 50 + "}\n" * 50
        tree = f"HIERARCHY\nROOT r\n{{\nOFFSET 0 0 0\n{joint}}}\n"
        (tmp_path / "a.bvh").write_text(f"{tree}MOTION\nFrames: 99999999\nFrame Time: 0.1\n\n")
        with pytest.raises(PoseActError, match="BVH"):
            read_sequences(tmp_path / "a.bvh")


def varint(number, length=0):
    """A number in 7 bits a byte, with zeros up to a length."""
    digits = []
    while number or not digits or len(digits) < length:
        digits.append(number % 128 + 128)
        number //= 128
    return bytes([*digits[:-1], digits[-1] - 128])


class TestTables:
    def test_rows_that_take_no_place(self, tmp_path):
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        table = PoseTable("a.mp4", PA16, fps=30, width=64, height=48)
        table.write_parquet(tmp_path / "a.parquet")
        schema = pq.read_schema(tmp_path / "a.parquet")
        columns = [pa.nulls(16 * 140_000, field.type) for field in schema]
        columns[4] = pa.DictionaryArray.from_arrays(
            pa.array(np.tile(np.arange(16, dtype=np.int32), 140_000)), list(PA16.joints)
        )
        pq.write_table(pa.table(columns, schema=schema), tmp_path / "a.parquet", compression="zstd")
        assert (tmp_path / "a.parquet").stat().st_size < 2**20
        with pytest.raises(PoseActError, match="claims"):
            PoseTable.read_parquet(tmp_path / "a.parquet")

    def test_pages_that_claim_more_than_the_footer(self, tmp_path):
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        path = tmp_path / "a.parquet"
        PoseTable("a.mp4", PA16, fps=30, width=64, height=48).write_parquet(path)
        schema, rows = pq.read_schema(path), 5 * 10**6
        columns = [
            pa.array(np.zeros(rows)) if field.name == "time" else pa.nulls(rows, field.type)
            for field in schema
        ]
        packed = {"compression": "zstd", "use_dictionary": False}
        pq.write_table(pa.table(columns, schema=schema), path, row_group_size=rows, **packed)
        group = pq.read_metadata(path).row_group(0)
        sizes = {group.column(k).total_uncompressed_size for k in range(len(columns))}
        content = path.read_bytes()
        footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        small = content[footer:]
        for number in {rows, group.total_byte_size, *sizes}:
            stated = varint(2 * number)
            small = small.replace(stated, varint(32, len(stated)))
        path.write_bytes(content[:footer] + small)
        assert pq.read_metadata(path).num_rows == 16
        with pytest.raises(PoseActError, match="claims"):
            PoseTable.read_parquet(path)
