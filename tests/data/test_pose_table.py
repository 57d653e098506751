import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from poseact._utils.errors import PoseActError
from poseact.actions.frame_pose import FramePose
from poseact.data import pose_table as results
from poseact.data.pose_table import COLUMNS, PoseTable
from poseact.skeleton import LSP14, PA16


def make_pose(frame, person=0, skeleton=PA16, dimensions=3, seed=None):
    rng = np.random.default_rng(frame * 10 + person if seed is None else seed)
    joints = rng.uniform(0, 500, (len(skeleton), dimensions)).astype(np.float32)
    joints[3] = np.nan
    return FramePose(
        frame=frame,
        time=frame / 30,
        person=person,
        joints=joints,
        confidence=rng.uniform(0, 1, len(skeleton)).astype(np.float32),
        visible=rng.uniform(0, 1, len(skeleton)) > 0.5,
        box=(1.5, -2.25, 300.0, 400.5),
    )


def make_table(frames=3, people=2, **facts):
    defaults = {
        "fps": 30,
        "width": 640,
        "height": 480,
        "depth_unit": "mm",
        "model": {"name": "poseact-s", "sha256": "0f"},
    }
    table = PoseTable("a film.mp4", PA16, **{**defaults, **facts})
    for frame in range(frames):
        for person in range(people):
            table.append(make_pose(frame, person, dimensions=2 + (table.depth_unit is not None)))
    return table


def assert_same(table, other):
    assert other.facts() == table.facts()
    assert len(other) == len(table)
    for (source_a, a), (source_b, b) in zip(table.items(), other.items(), strict=True):
        assert source_a == source_b
        assert (a.frame, a.time, a.person, a.box) == (b.frame, b.time, b.person, b.box)
        np.testing.assert_array_equal(a.joints, b.joints)
        np.testing.assert_array_equal(a.confidence, b.confidence)
        np.testing.assert_array_equal(a.visible, b.visible)


@pytest.mark.parametrize("depth_unit", ["mm", "relative", None])
def test_parquet_round_trip(tmp_path, depth_unit):
    table = make_table(depth_unit=depth_unit)
    path = tmp_path / "new folder" / "poses.parquet"
    table.write_parquet(path)
    assert_same(table, PoseTable.read_parquet(path))


def test_a_folder_of_the_name_of_home_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    make_table().write_parquet(Path("~/a.parquet"))
    assert_same(make_table(), PoseTable.read_parquet(tmp_path / "~" / "a.parquet"))


def test_parquet_round_trip_over_several_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "POSES_PER_BATCH", 4)
    table = make_table(frames=5, people=2)
    table.write_parquet(tmp_path / "p.parquet")
    assert_same(table, PoseTable.read_parquet(tmp_path / "p.parquet"))
    monkeypatch.setattr(results, "POSES_PER_BATCH", 3)
    assert_same(table, PoseTable.read_parquet(tmp_path / "p.parquet"))


def test_poses_come_back_as_appended():
    table = make_table(frames=2, people=1)
    first = next(iter(table))
    original = make_pose(0)
    np.testing.assert_array_equal(first.joints, original.joints)
    assert first.box == original.box
    assert first.visible.dtype == bool


def test_a_damaged_footer_never_ends_the_process(tmp_path):
    """Optional columns become required: pyarrow aborts where their statistics do not fit."""
    path = tmp_path / "p.parquet"
    make_table().write_parquet(path)
    code = (
        "import sys; from pathlib import Path; from poseact import PoseActError\n"
        "from poseact.data.pose_table import PoseTable\n"
        "path = Path(sys.argv[1]); whole = path.read_bytes()\n"
        "footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], 'little')\n"
        "for place in range(footer, len(whole) - 8):\n"
        "    if whole[place] == 2:\n"
        "        path.write_bytes(whole[:place] + bytes(1) + whole[place + 1 :])\n"
        "        try: PoseTable.read_parquet(path)\n"
        "        except PoseActError: pass\n"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=300)


def test_parquet_columns_types_and_metadata(tmp_path):
    table = make_table(frames=1, people=1)
    table.write_parquet(tmp_path / "p.parquet")
    read = pq.read_table(tmp_path / "p.parquet")
    assert read.column_names == list(COLUMNS)
    assert read.column_names[0] == "source"
    types = {field.name: str(field.type) for field in read.schema}
    assert types["frame"] == "int32"
    assert types["time"] == "double"
    assert types["person"] == "int32"
    assert types["x"] == types["z"] == types["confidence"] == "float"
    assert types["visible"] == "bool"
    assert types["joint"].startswith("dictionary<values=string")
    facts = json.loads(read.schema.metadata[b"poseact"])
    assert facts["source"] == "a film.mp4"
    assert facts["skeleton"]["joints"] == list(PA16.joints)
    assert facts["model"]["name"] == "poseact-s"
    assert read.schema.field("x").metadata[b"description"].decode() == COLUMNS["x"]
    assert read.column("joint").to_pylist() == list(PA16.joints)
    assert read.column("x").null_count == 1


def test_depth_is_null_in_2d(tmp_path):
    make_table(depth_unit=None).write_parquet(tmp_path / "p.parquet")
    z = pq.read_table(tmp_path / "p.parquet").column("z")
    assert z.null_count == len(z)


def test_folder_of_photos_names_each_source(tmp_path):
    table = PoseTable("photos", LSP14)
    for name in ("b/ä 1.jpg", "c.jpg"):
        table.append(make_pose(0, skeleton=LSP14, dimensions=2), name)
    table.write_parquet(tmp_path / "p.parquet")
    table.write_json(tmp_path / "p.json")
    read = PoseTable.read_parquet(tmp_path / "p.parquet")
    assert_same(table, read)
    assert [source for source, _ in read.items()] == ["b/ä 1.jpg", "c.jpg"]
    frames = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))["frames"]
    assert [frame["source"] for frame in frames] == ["b/ä 1.jpg", "c.jpg"]


def test_source_that_is_no_text(tmp_path):
    table = PoseTable("bad\udcff.mp4", LSP14)
    table.append(make_pose(0, skeleton=LSP14, dimensions=2))
    table.write_parquet(tmp_path / "p.parquet")
    table.write_json(tmp_path / "p.json")
    assert PoseTable.read_parquet(tmp_path / "p.parquet").source == "bad?.mp4"


def refuse_constant(name):
    raise AssertionError(f"{name} is not JSON")


def test_json_content(tmp_path):
    table = make_table(frames=2, people=2)
    table.write_json(tmp_path / "p.json")
    text = (tmp_path / "p.json").read_text(encoding="utf-8")
    data = json.loads(text, parse_constant=refuse_constant)
    assert data["columns"] == COLUMNS
    assert data["fps"] == 30
    assert data["depth_unit"] == "mm"
    assert [(f["frame"], len(f["people"])) for f in data["frames"]] == [(0, 2), (1, 2)]
    person = data["frames"][1]["people"][1]
    assert person["person"] == 1
    assert person["box"] == [1.5, -2.25, 300.0, 400.5]
    pose = make_pose(1, 1)
    assert list(person["joints"]) == list(PA16.joints)
    joint = person["joints"]["pelvis"]
    assert joint["x"] == pytest.approx(pose.joints[0, 0], abs=0.006)
    assert joint["z"] == pytest.approx(pose.joints[0, 2], abs=0.06)
    assert joint["visible"] is bool(pose.visible[0])
    assert person["joints"][PA16.joints[3]]["x"] is None


def test_json_of_2d_has_null_depth(tmp_path):
    make_table(depth_unit=None).write_json(tmp_path / "p.json")
    data = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert data["frames"][0]["people"][0]["joints"]["pelvis"]["z"] is None


def test_empty_table(tmp_path):
    table = make_table(frames=0)
    table.write_parquet(tmp_path / "p.parquet")
    table.write_json(tmp_path / "p.json")
    assert_same(table, PoseTable.read_parquet(tmp_path / "p.parquet"))
    assert json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))["frames"] == []


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_failed_write_leaves_the_old_file(tmp_path, kind):
    resource = pytest.importorskip("resource")
    path = tmp_path / f"p.{kind}"
    path.write_text("old")
    table = make_table()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(PoseActError, match="File too large"):
            getattr(table, f"write_{kind}")(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PoseActError, match="could not be written"):
        make_table().write_json(tmp_path / "file" / "p.json")


@pytest.mark.parametrize(
    "change",
    [
        {"joints": np.zeros((16, 2))},
        {"joints": np.zeros((15, 3))},
        {"confidence": np.zeros(3)},
        {"box": (0, 0, 1)},
    ],
)
def test_misfit_pose_is_refused(change):
    table = make_table(frames=0)
    with pytest.raises(PoseActError, match="skeleton pa16"):
        table.append(FramePose(**{**vars(make_pose(0)), **change}))
    assert len(table) == 0


def test_bad_facts_are_refused():
    with pytest.raises(PoseActError, match="depth unit 'cm'"):
        PoseTable("a", PA16, depth_unit="cm")
    with pytest.raises(PoseActError, match="JSON"):
        PoseTable("a", PA16, model={"weights": object()})
    with pytest.raises(PoseActError, match="JSON"):
        PoseTable("a", PA16, model={"loss": float("nan")})


def test_reading_what_is_no_table(tmp_path):
    plain = make_table(frames=1)
    plain.write_parquet(tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "foreign.parquet")
    pq.write_table(table.slice(0, 20), tmp_path / "cut.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    (tmp_path / "short.parquet").write_bytes((tmp_path / "p.parquet").read_bytes()[:200])
    for name in ("foreign", "cut", "text", "short", "missing"):
        with pytest.raises(PoseActError, match=f"{name}.parquet could not be read"):
            PoseTable.read_parquet(tmp_path / f"{name}.parquet")
