"""Shards of synthetic pictures: made, resumed, interrupted and read."""

from __future__ import annotations

import json
import os
import signal
import tarfile
from itertools import pairwise

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from poseact._utils.errors import PoseActError
from poseact.cli import app
from poseact.data.synthetic import read_synthetic
from poseact.skeleton import PA16, PA20
from poseact.synthetic.make import SyntheticSpec, make_synthetic

SMALL = {"count": 6, "size": 64, "shard_size": 2}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    report = make_synthetic(out, **SMALL)
    assert (report.shards, report.items, report.made, report.interrupted) == (3, 6, 6, False)
    return out


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def greenest(root):
    """Largest share of a picture that is far more green than anything else."""
    shares = []
    for sample in read_synthetic(root):
        red, green, blue = np.moveaxis(sample.image.read().astype(int), -1, 0)
        shares.append((green > np.maximum(red, blue) + 60).mean())
    return max(shares)


class TestShards:
    def test_resume_makes_the_same_bytes(self, whole, tmp_path):
        make_synthetic(tmp_path, **SMALL)
        (tmp_path / "train-00001.tar").unlink()
        kept = (tmp_path / "train-00000.tar").stat().st_mtime_ns
        report = make_synthetic(tmp_path, **SMALL)
        assert report.made == 2
        assert (tmp_path / "train-00000.tar").stat().st_mtime_ns == kept
        assert contents(tmp_path) == contents(whole)

    @pytest.mark.slow
    def test_workers_make_the_same_bytes(self, whole, tmp_path):
        seen = []
        make_synthetic(tmp_path, **SMALL, workers=2, on_images=lambda done, _: seen.append(done))
        assert contents(tmp_path) == contents(whole)
        assert max(seen) == 6

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.slow
    def test_signal_keeps_whole_shards_alone(self, whole, tmp_path, number):
        def interrupt(done: int, _: int) -> None:
            if done == 3:
                os.kill(os.getpid(), number)

        report = make_synthetic(tmp_path, **SMALL, on_images=interrupt)
        assert report.interrupted
        assert sorted(contents(tmp_path)) == ["index.json", "train-00000.tar"]
        assert len(read_synthetic(tmp_path)) == 2
        make_synthetic(tmp_path, **SMALL)
        assert contents(tmp_path) == contents(whole)

    def test_seed_and_part_change_the_pictures(self, whole, tmp_path):
        for name, change in (("a", {"seed": 1}), ("b", {"part": "validation"})):
            make_synthetic(tmp_path / name, **{**SMALL, "count": 2, **change})
            other, usual = read_synthetic(tmp_path / name), read_synthetic(whole)
            for one, another in zip(other, usual, strict=False):
                assert not np.array_equal(one.image.read(), another.image.read())
                assert not np.allclose(one.joints, another.joints)

    def test_other_parameters_are_refused_with_the_difference(self, whole):
        with pytest.raises(PoseActError, match="seed 0 there, 5 asked"):
            make_synthetic(whole, **SMALL, seed=5)

    @pytest.mark.parametrize(
        "bad", [{"count": 0}, {"size": 8}, {"seed": -1}, {"clip_length": 9}, {"part": "test"}]
    )
    def test_parameters_out_of_range(self, tmp_path, bad):
        with pytest.raises(PoseActError):
            make_synthetic(tmp_path / "out", **{**SMALL, **bad})
        assert not (tmp_path / "out").exists()

    def test_clips_are_not_cut(self, tmp_path):
        make_synthetic(tmp_path, count=8, size=64, shard_size=5, clip_length=4)
        plan = SyntheticSpec(8, shard_size=5, clip_length=4).plan()
        assert [len(plan.items(shard)) for shard in range(plan.shards)] == [4, 4]
        samples = read_synthetic(tmp_path)
        assert [s.frame for s in samples] == [0, 1, 2, 3] * 2
        assert len({s.sequence for s in samples}) == 2
        first = samples[:4]
        assert len({s.camera for s in first}) == 1
        steps = [np.abs(a.joints - b.joints)[:, :2].max() for a, b in pairwise(first)]
        assert 0 < max(steps) < 40

    def test_photos_are_put_behind(self, whole, tmp_path):
        (tmp_path / "photos").mkdir()
        for i in range(2):
            green = np.full((90, 120, 3), (20, 250, 20), np.uint8)
            cv2.imwrite(str(tmp_path / "photos" / f"{i}.png"), green)
        make_synthetic(tmp_path / "out", **SMALL, backgrounds=tmp_path / "photos")
        assert json.loads((tmp_path / "out" / "index.json").read_text())["backgrounds"]
        assert greenest(tmp_path / "out") > 0.3 > greenest(whole)

    def test_command_says_where_the_results_lie(self, tmp_path):
        args = ["make-synthetic", str(tmp_path / "out"), "--count", "2", "--size", "64"]
        result = CliRunner().invoke(app, args)
        assert result.exit_code == 0, result.output
        assert str(tmp_path / "out") in result.output


class TestReader:
    def test_samples(self, whole):
        samples = read_synthetic(whole, PA20)
        assert len(samples) == 6
        for sample in samples:
            image = sample.image.read()
            assert max(image.shape[:2]) == 64
            assert sample.valid.all()
            assert sample.depth_valid.all()
            assert sample.joints[PA20.index("pelvis"), 2] == 0
            assert sample.camera is not None
            assert sample.root_depth_mm is not None
            # Pixels and depths give a body of human size back.
            places = sample.camera.unproject(
                sample.joints[:, :2], sample.joints[:, 2] + sample.root_depth_mm
            )
            thigh = places[PA20.index("left_hip")] - places[PA20.index("left_knee")]
            assert 300 < np.linalg.norm(thigh) < 600
            hips = (places[PA20.index("left_hip")] + places[PA20.index("right_hip")]) / 2
            np.testing.assert_allclose(hips, places[0], atol=8)

    def test_other_part_is_refused(self, whole):
        assert len(read_synthetic(whole, PA16, part="train")) == 6
        with pytest.raises(PoseActError, match="'validation' was asked for"):
            read_synthetic(whole, PA16, part="validation")

    def test_missing_folder_and_no_shard(self, whole, tmp_path):
        with pytest.raises(PoseActError, match="does not exist"):
            read_synthetic(tmp_path)
        (tmp_path / "index.json").write_text((whole / "index.json").read_text())
        with pytest.raises(PoseActError, match="no shard"):
            read_synthetic(tmp_path)
        (tmp_path / "index.json").write_text("[]")
        with pytest.raises(PoseActError, match="not the index"):
            read_synthetic(tmp_path)

    def test_damaged_and_foreign_shards(self, whole, tmp_path):
        (tmp_path / "index.json").write_text((whole / "index.json").read_text())
        shard = tmp_path / "train-00000.tar"
        good = (whole / "train-00000.tar").read_bytes()
        for content in (b"", b"no tar at all" * 100, good[: len(good) // 3], good[:700]):
            shard.write_bytes(content)
            with pytest.raises(PoseActError, match=r"train-00000\.tar"):
                read_synthetic(tmp_path)
        with tarfile.open(shard, "w") as archive:
            (tmp_path / "a.json").write_text("{}")
            archive.add(tmp_path / "a.json", "a.json")
            archive.add(tmp_path / "a.json", "a.jpg")
        with pytest.raises(PoseActError, match="do not fit"):
            read_synthetic(tmp_path)
