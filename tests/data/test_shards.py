"""Packed data sets: nothing is lost, packing goes on where it stopped, processes share them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
import signal
import tarfile
import threading

import numpy as np
import pytest

from helpers.ntu_jhmdb_files import write_film, write_jhmdb, write_ntu
from helpers.penn_action_files import write_penn_action
from poseact._utils.errors import PoseActError
from poseact.data.augment import AugmentRanges
from poseact.data.dataset import PoseRows, UnitSource, stills
from poseact.data.faults import find_faults
from poseact.data.mix import MixedBatches, MixedSource, RowKey, UnitKey
from poseact.data.packed.pack import pack
from poseact.data.packed.shards import read_index, read_packed, read_packed_videos
from poseact.data.sources import SourceSpec
from poseact.media import write_image
from poseact.skeleton import JHMDB15, NTU25, PA16, PA17, PA20, PENN13
from poseact.synthetic.make import make_synthetic


def source(adapter, root, clips=False, **options):
    return SourceSpec(adapter=adapter, root=str(root), options=options, clips=clips)


@pytest.fixture(scope="module")
def penn(tmp_path_factory):
    root = tmp_path_factory.mktemp("penn")
    write_penn_action(root, ("squat", "bowl"), videos=2, frames=3)
    return root


@pytest.fixture(scope="module")
def packed(penn, tmp_path_factory):
    """Twelve stills in three shards."""
    out = tmp_path_factory.mktemp("packed")
    report = pack(source("penn-action", penn), out, shard_size=5)
    assert (report.shards, report.items, report.made) == (3, 12, 12)
    assert (report.skipped, report.interrupted) == ({}, False)
    return out


def same(a, b):
    """Whether two labels are equal, the places of joints without one aside."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return np.array_equal(a, b)
    return a == b


def require_equal_samples(found, expected):
    assert [sample.name for sample in found] == [sample.name for sample in expected]
    for one, other in zip(found, expected, strict=True):
        for field in dataclasses.fields(one):
            if field.name != "image":
                assert same(getattr(one, field.name), getattr(other, field.name)), field.name


class TestStills:
    @pytest.mark.parametrize("skeleton", [PENN13, PA16, PA20], ids=str)
    def test_labels_and_pictures_come_back(self, penn, packed, skeleton):
        expected = source("penn-action", penn).read(skeleton)
        found = source("packed", packed).read(skeleton)
        require_equal_samples(found, expected)
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one.image.read(), other.image.read())

    def test_the_stated_size_of_a_picture_is_checked_after_packing(self, tmp_path):
        root, out = tmp_path / "coco", tmp_path / "packed"
        write_image(root / "images" / "a.png", np.zeros((24, 32, 3), np.uint8))
        picture = {"id": 0, "file_name": "a.png", "width": 64, "height": 48}
        points = [float(place) for joint in range(17) for place in (joint + 1, joint + 1, 2)]
        people = [{"id": 0, "image_id": 0, "keypoints": points}]
        content = {"images": [picture], "annotations": people}
        (root / "annotations.json").write_text(json.dumps(content))
        pack(source("coco", root), out)
        (sample,) = read_packed(out)
        assert sample.picture_size == (64, 48)
        assert "picture-size" in {fault.kind for fault in find_faults([sample])}

    def test_pictures_keep_their_bytes(self, penn, packed):
        with tarfile.open(packed / "000000.tar") as archive:
            names = archive.getnames()
            content = archive.extractfile("0000004.jpg")
            assert content is not None
            assert content.read() == (penn / "frames" / "0002" / "000002.jpg").read_bytes()
        assert names == [f"{i:07d}.{kind}" for i in range(5) for kind in ("jpg", "json")]

    def test_depths_cameras_and_areas_come_back(self, tmp_path):
        make_synthetic(tmp_path / "made", count=4, size=64, clip_length=2)
        pack(source("synthetic", tmp_path / "made"), tmp_path / "packed")
        for skeleton in (PA16, PA17):
            expected = source("synthetic", tmp_path / "made").read(skeleton)
            assert expected[0].camera is not None
            assert expected[0].depth_valid.any()
            require_equal_samples(read_packed(tmp_path / "packed", skeleton), expected)

    def test_hidden_joints_stay_hidden(self, tmp_path):
        write_ntu(tmp_path, ["S001C001P001R001A001"], frames=2)
        file = tmp_path / "nturgb+d_skeletons" / "S001C001P001R001A001.skeleton"
        file.write_text(file.read_text().replace(" 2\n", " 1\n", 9))
        pack(source("ntu", tmp_path), tmp_path / "packed")
        expected = source("ntu", tmp_path).read(NTU25)
        assert (expected[0].valid & ~expected[0].visible).any()
        found = read_packed(tmp_path / "packed", NTU25)
        require_equal_samples(found, expected)
        for one, other in zip(found, expected, strict=True):
            assert np.abs(one.image.read().astype(int) - other.image.read()).max() < 8

    def test_training_reads_the_same_crops(self, penn, packed):
        both = (source("penn-action", penn), source("packed", packed))
        rows = [
            PoseRows([UnitSource("set", stills(one.read()))], AugmentRanges(), seed=1)
            for one in both
        ]
        key = RowKey(0, (UnitKey(0, 3), UnitKey(2, 11)), 32)
        one, other = (row[key] for row in rows)
        assert one.names == other.names
        for a, b in zip(one.crops, other.crops, strict=True):
            assert np.array_equal(a.image, b.image)


class TestVideos:
    def check(self, spec, out, skeleton, tolerance=0):
        report = pack(spec, out, shard_size=1)
        assert not report.skipped
        expected = spec.read_videos(skeleton)
        found = source("packed-videos", out, clips=True).read_videos(skeleton)
        for one, other in zip(found, expected, strict=True):
            for fact in ("name", "action", "fps", "part", "recording", "skeleton"):
                assert getattr(one, fact) == getattr(other, fact)
            numbers = [len(other) - 1, 0, 0]
            require_equal_samples(one.samples(numbers), other.samples(numbers))
            for a, b in zip(one.frames.read(numbers), other.frames.read(numbers), strict=True):
                assert np.abs(a.astype(int) - b).max() <= tolerance

    def test_penn_action(self, penn, tmp_path):
        self.check(source("penn-action", penn, clips=True, part="test"), tmp_path, PENN13)

    def test_jhmdb(self, tmp_path):
        joints = np.random.default_rng(0).uniform(5, 40, (4, 15, 2))
        write_jhmdb(tmp_path, "catch", {"a_catch_0": joints, "b_catch_0": joints[:3]})
        self.check(source("jhmdb", tmp_path, clips=True), tmp_path / "packed", JHMDB15)

    def test_ntu_becomes_jpeg(self, tmp_path):
        write_ntu(tmp_path, ["S001C001P001R001A001", "S001C002P003R001A009"])
        spec = source("ntu", tmp_path, clips=True)
        self.check(spec, tmp_path / "packed", NTU25, tolerance=8)
        (video,) = read_packed_videos(tmp_path / "packed", part="test")
        assert video.name == "S001C002P003R001A009"
        stored = source("packed-videos", tmp_path / "packed", every=2).read()
        require_equal_samples(stored, source("ntu", tmp_path, every=2).read())


class TestPacking:
    def test_resumes_where_it_stopped(self, penn, packed, tmp_path):
        root, out = tmp_path / "penn", tmp_path / "out"
        shutil.copytree(penn, root)
        # The eighth picture is a pipe, from which nothing comes until the job is told to stop.
        picture = root / "frames" / "0003" / "000002.jpg"
        content = picture.read_bytes()
        picture.unlink()
        os.mkfifo(picture)
        release = threading.Timer(1, picture.write_bytes, [content])
        done = []

        def interrupt(count, total):
            done.append((count, total))
            if count == 7 and not release.is_alive():
                os.kill(os.getpid(), signal.SIGINT)
                release.start()

        report = pack(source("penn-action", root), out, shard_size=5, on_items=interrupt)
        assert (done[0], done[-1]) == ((0, 12), (7, 12))
        assert (report.shards, report.items, report.made) == (1, 5, 5)
        assert report.interrupted
        picture.unlink()
        picture.write_bytes(content)
        report = pack(source("penn-action", root), out, shard_size=5, workers=2)
        assert (report.items, report.made, report.interrupted) == (12, 7, False)
        assert pack(source("penn-action", root), out, shard_size=5).made == 0
        assert sorted(file.name for file in out.iterdir()) == sorted(os.listdir(packed))
        for file in packed.iterdir():
            assert (out / file.name).read_bytes() == file.read_bytes()

    def test_one_shard_missing(self, penn, packed, tmp_path):
        shutil.copytree(packed, tmp_path, dirs_exist_ok=True)
        (tmp_path / "000001.tar").unlink()
        with pytest.raises(PoseActError, match=r"lacks 1 of its 3 shards.*000001\.tar"):
            read_packed(tmp_path)
        report = pack(source("penn-action", penn), tmp_path, shard_size=5)
        assert report.made == 5
        assert len(read_packed(tmp_path)) == 12

    def test_what_cannot_be_read_is_reported_and_left_out(self, penn, tmp_path):
        root = tmp_path / "penn"
        shutil.copytree(penn, root)
        (root / "frames" / "0002" / "000003.jpg").unlink()
        report = pack(source("penn-action", root), tmp_path / "stills", shard_size=5)
        assert list(report.skipped) == ["0002#2"]
        assert "000003.jpg" in report.skipped["0002#2"]
        assert len(read_packed(tmp_path / "stills")) == 11
        assert pack(source("penn-action", root), tmp_path / "stills", shard_size=5) == (
            dataclasses.replace(report, made=0)
        )
        report = pack(source("penn-action", root, clips=True), tmp_path / "videos")
        assert list(report.skipped) == ["0002"]
        assert len(read_packed_videos(tmp_path / "videos")) == 3

    def test_a_film_that_ends_early(self, tmp_path):
        name = "S001C001P001R001A001"
        write_ntu(tmp_path, [name], frames=4)
        write_film(tmp_path / "nturgb+d_rgb" / f"{name}_rgb.avi", 3)
        report = pack(source("ntu", tmp_path), tmp_path / "stills")
        assert list(report.skipped) == [f"{name}#3"]
        report = pack(source("ntu", tmp_path, clips=True), tmp_path / "videos")
        assert "no frame 3" in report.skipped[name]

    def test_another_data_set_is_refused(self, penn, packed, tmp_path):
        shutil.copytree(packed, tmp_path, dirs_exist_ok=True)
        with pytest.raises(PoseActError, match="shard_size 5 there, 6 asked"):
            pack(source("penn-action", penn), tmp_path, shard_size=6)
        with pytest.raises(PoseActError, match="count 12 there, 6 asked"):
            pack(source("penn-action", penn, part="train"), tmp_path, shard_size=5)
        with pytest.raises(PoseActError, match="1 or more"):
            pack(source("penn-action", penn), tmp_path, workers=0)


class TestReading:
    def test_another_kind_is_refused(self, packed, tmp_path):
        with pytest.raises(PoseActError, match="adapter packed"):
            read_packed_videos(packed)
        with pytest.raises(PoseActError, match=r"index\.json does not exist"):
            read_packed(tmp_path)
        (tmp_path / "index.json").write_text(json.dumps({"format": "another"}))
        with pytest.raises(PoseActError, match="not the index"):
            read_index(tmp_path)

    @pytest.mark.parametrize("size", [0, 700, 1500])
    def test_damage_is_reported(self, packed, tmp_path, size):
        shutil.copytree(packed, tmp_path, dirs_exist_ok=True)
        file = tmp_path / "000001.tar"
        file.write_bytes(file.read_bytes()[:size])
        with pytest.raises(PoseActError, match=r"000001\.tar is damaged"):
            read_packed(tmp_path)

    @pytest.mark.parametrize("world_size", [1, 2, 3])
    def test_processes_share_without_overlap_or_loss(self, packed, world_size):
        units = stills(read_packed(packed))
        seen = {epoch: [] for epoch in range(3)}
        for rank in range(world_size):
            batches = MixedBatches(
                sources=(MixedSource(len(units), 1),),
                turns=((5,),),
                seed=3,
                size_at=lambda _: 32,
                rank=rank,
                world_size=world_size,
            )
            # So many that all processes together read more than three times all units.
            for batch in itertools.islice(batches, 9):
                for unit in (unit for row in batch for unit in row.units):
                    if unit.epoch in seen:
                        (sample,) = units[unit.index]
                        seen[unit.epoch].append(sample.name)
        everyone = sorted(sample.name for (sample,) in units)
        assert len(everyone) == 12
        for names in seen.values():
            assert sorted(names) == everyone
