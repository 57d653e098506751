"""The commands as a user runs them."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer

import poseact
from poseact._utils.interrupt import StopRequest
from poseact.cli import app, main
from poseact.data.pose_table import COLUMNS
from poseact.inference.predict import predict
from poseact.media import VideoReader, VideoWriter, read_image, write_image
from poseact.media.drawing import px_per_mm
from poseact.skeleton import PA16
from poseact.weights import catalogue

predict_one = partial(predict, people="one")


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "poseact", *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return poseact.save(
        poseact.create_model("tiny"), tmp_path_factory.mktemp("weights") / "fresh.safetensors"
    )


def noise(seed, height=48, width=64):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def write_video(path, frames=7, fps=Fraction(30000, 1001)):
    with VideoWriter(path, fps, 64, 48) as video:
        for i in range(frames):
            video.write(noise(i))
    return path


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "my clips ü"
    write_image(source / "photo.png", noise(1))
    write_image(source / "sub dir" / "photo.jpg", noise(2))
    write_video(source / "photo.mp4")
    return source


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path):
    """Runs a command in this process; it must end with code 2 and one sentence."""
    monkeypatch.chdir(tmp_path)

    def check(*arguments):
        monkeypatch.setattr(sys, "argv", ["poseact", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        return capsys.readouterr().err

    return check


@pytest.fixture
def run_here(monkeypatch):
    """Runs a command in this process, which takes seconds less; its code and what it printed."""

    def call(*arguments, encoding="utf-8", columns=200):
        printed = {name: io.BytesIO() for name in ("stdout", "stderr")}
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["poseact", *map(str, arguments)])
            patch.setenv("COLUMNS", str(columns))
            for name, content in printed.items():
                patch.setattr(sys, name, io.TextIOWrapper(content, encoding, write_through=True))
            with pytest.raises(SystemExit) as stop:
                main()
            texts = [content.getvalue().decode(encoding) for content in printed.values()]
        return int(stop.value.code or 0), *texts

    return call


def test_predict_a_folder(folder, weights, tmp_path, run_here):
    out = tmp_path / "out"
    options = ("--out", out, "--weights", weights, "--people", "one")
    code, printed, errors = run_here("predict", folder, *options)
    assert code == 0, errors
    assert "9 frames" in printed
    assert str(out / "poses.parquet") in printed
    drawn = sorted(p.relative_to(out).as_posix() for p in out.rglob("*_pose.*"))
    assert drawn == ["photo_pose.mp4", "photo_pose.png", "sub dir/photo_pose.png"]

    table = pq.read_table(out / "poses.parquet")
    assert table.column_names == list(COLUMNS)
    assert len(table) == 9 * 16
    assert set(table["source"].to_pylist()) == {"photo.png", "sub dir/photo.jpg", "photo.mp4"}
    facts = json.loads(table.schema.metadata[b"poseact"])
    assert facts["model"]["preset"] == "tiny"
    assert facts["depth_unit"] == "mm"
    as_json = json.loads((out / "poses.json").read_text())
    assert len(as_json["frames"]) == 9
    assert as_json["columns"] == COLUMNS

    with VideoReader(out / "photo_pose.mp4") as video:
        assert video.fps == Fraction(30000, 1001)
        assert len(list(video)) == 7


def test_predict_one_video_has_its_facts(tmp_path, weights):
    report = predict_one(
        write_video(tmp_path / "clip.mp4", fps=Fraction(25)), tmp_path / "o", weights=weights
    )
    facts = json.loads(pq.read_schema(report.parquet).metadata[b"poseact"])
    assert (facts["fps"], facts["width"], facts["height"]) == (25, 64, 48)
    times = pq.read_table(report.parquet)["time"].to_numpy()
    np.testing.assert_allclose(times[::16], np.arange(7) / 25, atol=1e-4)


def test_unreadable_files_do_not_stop_the_others(folder, weights, tmp_path, run_here):
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "broken.mp4").write_bytes(b"no video")
    options = ("--out", tmp_path / "out", "--weights", weights, "--people", "one")
    code, printed, errors = run_here("predict", folder, *options)
    assert code == 2
    assert "9 frames" in printed
    for name in ("broken.jpg", "broken.mp4"):
        assert name in errors
    assert len(pq.read_table(tmp_path / "out" / "poses.parquet")) == 9 * 16


def test_boxes_from_a_file(folder, weights, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(
        "source,frame,x0,y0,x1,y1\n"
        "photo.mp4,0,5,5,30,40\nphoto.mp4,0,30,5,60,40\nphoto.mp4,3,5,5,30,40\n"
    )
    predict_one(folder, tmp_path / "out", weights=weights, boxes=boxes)
    table = pq.read_table(tmp_path / "out" / "poses.parquet")
    people = set(zip(*(table[c].to_pylist() for c in ("source", "frame", "person")), strict=True))
    of_video = {row for row in people if row[0] == "photo.mp4"}
    assert of_video == {("photo.mp4", 0, 0), ("photo.mp4", 0, 1), ("photo.mp4", 3, 0)}
    assert people - of_video == {("photo.png", 0, 0), ("sub dir/photo.jpg", 0, 0)}


def test_links_to_themselves_and_to_devices_do_not_stop_the_others(tmp_path, weights):
    write_image(tmp_path / "in" / "a.png", noise(0))
    for name, target in (
        ("self.png", "self.png"),
        ("self.mp4", "self.mp4"),
        ("z.png", "/dev/zero"),
    ):
        (tmp_path / "in" / name).symlink_to(target)
    report = predict_one(tmp_path / "in", tmp_path / "out", weights=weights)
    assert report.frames == 1
    assert {path.name for path in report.failed} == {"self.png", "self.mp4", "z.png"}


def test_boxes_of_an_unknown_file(tmp_path, weights):
    write_image(tmp_path / "a.png", noise(0))
    (tmp_path / "boxes.csv").write_text("source,frame,x0,y0,x1,y1\nA.png,0,1,2,3,4\n")
    with pytest.raises(poseact.PoseActError, match=r"'A\.png', .* such as 'a\.png'"):
        predict_one(
            tmp_path / "a.png", tmp_path / "o", weights=weights, boxes=tmp_path / "boxes.csv"
        )
    assert not (tmp_path / "o").exists()


def test_a_box_outside_its_picture_does_not_stop_the_others(tmp_path, weights, caplog):
    write_video(tmp_path / "v.mp4", frames=5)
    rows = [f"v.mp4,{frame},5,5,30,40" for frame in range(5)]
    rows[2] = "v.mp4,2,100,5,130,40"
    rows.append("v.mp4,4,-30,5,-3,40")
    (tmp_path / "boxes.csv").write_text("\n".join(["source,frame,x0,y0,x1,y1", *rows]))
    report = predict_one(
        tmp_path / "v.mp4", tmp_path / "o", weights=weights, boxes=tmp_path / "boxes.csv"
    )
    assert report.frames == 5
    assert not report.failed
    assert set(pq.read_table(report.parquet)["frame"].to_pylist()) == {0, 1, 3, 4}
    assert "2 of 6 boxes of v.mp4 left out" in caplog.text
    assert "frame 2 lies outside" in caplog.text


def test_boxes_that_are_all_outside_are_an_error(tmp_path, weights):
    write_image(tmp_path / "a.png", noise(0))
    (tmp_path / "boxes.csv").write_text("source,frame,x0,y0,x1,y1\na.png,0,100,5,130,40\n")
    report = predict_one(
        tmp_path / "a.png", tmp_path / "o", weights=weights, boxes=tmp_path / "boxes.csv"
    )
    assert "lies outside" in report.failed[tmp_path / "a.png"]


def test_results_removed_during_the_job_are_an_error(tmp_path, weights):
    for i in range(4):
        write_image(tmp_path / "in" / f"{i}.png", noise(i))

    def remove_once(step):
        if step.file == 3:
            shutil.rmtree(tmp_path / "out")

    report = predict_one(tmp_path / "in", tmp_path / "out", weights=weights, on_step=remove_once)
    assert [path.name for path in report.drawn] == ["3_pose.png"]
    assert [path.name for path in report.failed] == ["0_pose.png", "1_pose.png", "2_pose.png"]
    assert all(path.is_file() for path in report.drawn)
    assert report.parquet.is_file()


@pytest.mark.skipif(os.name != "posix", reason="names and pipes of POSIX")
@pytest.mark.slow(covers=True)
def test_what_cannot_be_printed_changes_no_exit_code(tmp_path, weights, run_here):
    write_image(tmp_path / "in" / "人\udcff.png", noise(0))
    arguments = ("predict", tmp_path / "in", "--weights", weights, "--out", tmp_path / "ö人")
    for encoding in ("cp1252", "ascii", "utf-8"):
        code, printed, _ = run_here(*arguments, encoding=encoding)
        assert code == 0
        assert "poses.parquet" in printed
    (tmp_path / "in" / "b\udcff.png").write_bytes(b"no picture")
    code, _, errors = run_here(*arguments, encoding="cp1252")
    assert code == 2
    assert "skipped" in errors


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.slow
def test_closed_pipes_change_no_exit_code(tmp_path, weights):
    write_image(tmp_path / "a.png", noise(0))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code = subprocess.run(
            [sys.executable, "-m", "poseact", "predict", "a.png", "--weights", str(weights)],
            stdout=writing,
            stderr=writing,
            cwd=tmp_path,
            timeout=120,
            check=False,
        ).returncode
    finally:
        os.close(writing)
    assert code == 0
    assert (tmp_path / "poseact-out" / "poses.parquet").is_file()


@pytest.mark.slow(covers=True)
def test_weights_of_actions_that_are_not_reported_say_why(tmp_path, caplog):
    write_video(tmp_path / "v.mp4", frames=2)
    network = poseact.create_model("cvpr18-penn", num_blocks=1).eval()
    report = predict_one(tmp_path / "v.mp4", tmp_path / "o", weights=network)
    assert report.actions is None
    assert "cvpr18-penn know 15 actions, but only in clips" in caplog.text


def test_boxes_of_frames_that_do_not_exist_are_reported(tmp_path, weights, caplog):
    write_video(tmp_path / "v.mp4", frames=3)
    (tmp_path / "boxes.csv").write_text("source,frame,x0,y0,x1,y1\nv.mp4,9,1,2,30,40\n")
    predict_one(tmp_path / "v.mp4", tmp_path / "o", weights=weights, boxes=tmp_path / "boxes.csv")
    assert "frames [9] have boxes, but do not exist" in caplog.text


def test_interruption_between_photos_keeps_the_table(tmp_path, weights):
    for i in range(4):
        write_image(tmp_path / "in" / f"{i}.png", noise(i))
    before = signal.getsignal(signal.SIGINT)

    def stop_after_two(step):
        if step.file == 2:
            signal.raise_signal(signal.SIGINT)

    report = predict_one(tmp_path / "in", tmp_path / "out", weights=weights, on_step=stop_after_two)
    assert report.interrupted
    assert report.frames == 2
    assert len(pq.read_table(report.parquet)) == 2 * 16
    assert len(report.drawn) == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_second_signal_ends_at_once():
    with StopRequest() as stop:
        assert not stop
        signal.raise_signal(signal.SIGTERM)
        assert stop
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_results_never_replace_an_input(tmp_path, weights):
    for name in ("x.png", "x_pose.png"):
        write_image(tmp_path / name, noise(0))
    before = (tmp_path / "x_pose.png").read_bytes()
    with pytest.raises(poseact.PoseActError, match="would replace"):
        predict_one(tmp_path, tmp_path, weights=weights)
    assert (tmp_path / "x_pose.png").read_bytes() == before


def test_results_are_not_read_as_input(tmp_path, weights):
    write_image(tmp_path / "x.png", noise(0))
    for _ in range(2):
        report = predict_one(tmp_path, tmp_path / "res", weights=weights)
        assert report.frames == 1


def test_output_that_is_a_file(tmp_path, weights):
    write_image(tmp_path / "x.png", noise(0))
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(poseact.PoseActError, match="taken is a file"):
        predict_one(tmp_path / "x.png", tmp_path / "taken", weights=weights)
    assert (tmp_path / "taken").read_text() == "mine"


def test_names_with_brackets_are_printed_as_they_are(tmp_path, weights, run_here):
    write_image(tmp_path / "a [red] [x].png", noise(0))
    (tmp_path / "b [x].jpg").write_bytes(b"")
    code, printed, errors = run_here(
        "predict", tmp_path, "--out", tmp_path / "o[b]", "--weights", weights
    )
    assert code == 2
    assert "1 frame;" in printed
    assert str(tmp_path / "o[b]" / "a [red] [x]_pose.png") in printed
    assert "b [x].jpg" in errors


@pytest.mark.slow
def test_interruption_keeps_what_was_done(tmp_path, weights):
    source, out = write_video(tmp_path / "long.mp4", frames=400), tmp_path / "out"
    options = ("--out", out, "--weights", weights, "--people", "one")
    process = subprocess.Popen(
        [sys.executable, "-m", "poseact", "predict", source, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(out.glob(".*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in stdout
    rows = len(pq.read_table(out / "poses.parquet"))
    assert 0 < rows < 400 * 16
    with VideoReader(out / "long_pose.mp4") as video:
        assert len(list(video)) == rows // 16


def test_bad_input_is_one_sentence(tmp_path, weights, refused):
    assert "none.mp4" in refused("predict", tmp_path / "none.mp4")
    assert "holds no picture" in refused("predict", tmp_path)
    fake = tmp_path / "fake.mp4"
    fake.write_text("hello")
    assert "fake.mp4" in refused("predict", fake, "--weights", weights)
    assert "'huge'" in refused("predict", fake, "--weights", "huge")
    assert "no preset 'x'" in refused("import-keras", fake, "--preset", "x", "-o", tmp_path / "o")
    assert "side view" in refused(
        "predict", fake, "--side-view", "--weights", flat_weights(tmp_path)
    )
    assert "cannot be looked up" in refused("predict", "x" * 300)
    assert "no weights" in refused("predict", fake, "--weights", "w" * 300)
    assert "fast poses are 2D" in refused("predict", fake, "--side-view", "--fast")
    assert "without drawing" in refused("predict", fake, "--side-view", "--no-draw")
    assert "given with fast" in refused("predict", fake, "--fast", "--weights", weights)
    assert "num_blocks=1" in refused("predict", fake, "--fast", "--num-blocks", "1")
    assert "no people.csv" in refused("eval-tracking", tmp_path)
    assert "--patience nan" in refused("live", "--weights", weights, "--patience", "nan")
    assert "people='few'" in refused("predict", fake, "--people", "few")
    assert "people=0" in refused("predict", fake, "--people", "0")
    assert "no-such-command" in refused("no-such-command")


def flat_weights(folder):
    return poseact.save(poseact.create_model("tiny", depth_maps=1), folder / "2d.safetensors")


def test_an_error_leaves_no_traceback(tmp_path):
    result = run("predict", tmp_path / "none.mp4")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


def test_drawing_can_be_left_out(tmp_path, weights):
    write_image(tmp_path / "a.png", noise(0))
    report = predict_one(tmp_path / "a.png", tmp_path / "out", weights=weights, draw=False)
    assert report.drawn == []
    assert sorted(p.name for p in report.out.iterdir()) == ["poses.json", "poses.parquet"]


def test_colliding_names_are_kept_apart(tmp_path, weights):
    for name in ("a.png", "a.jpg", "A.JPEG", "a_png.jpg"):
        write_image(tmp_path / "in" / name, noise(0))
    report = predict_one(tmp_path / "in", tmp_path / "out", weights=weights)
    names = {path.relative_to(report.out).as_posix().casefold() for path in report.drawn}
    assert len(names) == 4
    assert all(path.is_file() for path in report.drawn)


def test_side_view_is_an_inset(tmp_path, weights):
    write_image(tmp_path / "a.png", np.full((240, 240, 3), 90, np.uint8))
    write_image(tmp_path / "small.png", np.full((3, 2, 3), 90, np.uint8))
    plain, inset = (
        predict_one(tmp_path, tmp_path / str(view), weights=weights, side_view=view)
        for view in (False, True)
    )
    without, with_view = (
        read_image(report.out / "a_pose.png").astype(int) for report in (plain, inset)
    )
    assert (with_view[:60, -60:] != without[:60, -60:]).any(-1).mean() > 0.9
    np.testing.assert_array_equal(with_view[100:], without[100:])
    assert read_image(inset.out / "small_pose.png").shape == (3, 2, 3)


def test_scale_of_a_person_from_the_trunk():
    joints = np.zeros((16, 3))
    joints[PA16.index("thorax")] = (0, -40, 300)  # 400 mm in the picture, 300 mm in depth
    assert px_per_mm(joints, PA16) == pytest.approx(0.1)


def test_help_lists_the_commands():
    result = run("--help")
    assert result.returncode == 0
    names = re.findall(r"^\W+([a-z-]+)\s", result.stdout.partition("Commands")[2], re.MULTILINE)
    ordered = ["predict", "check", "train", "eval-pose", "weights", "import-keras"]
    assert [name for name in names if name in ordered] == ordered


def commands(group):
    """All commands of a group and of the groups in it."""
    for command in group.commands.values():
        yield from commands(command) if hasattr(command, "commands") else (command,)


def test_help_explains_every_parameter():
    for command in commands(typer.main.get_command(app)):
        command.get_help(command.make_context(command.name, [], resilient_parsing=True))
        assert not [parameter.name for parameter in command.params if not parameter.help]


def test_help_shows_a_default_of_the_command_alone():
    text = run("predict", "--help").stdout
    assert "small-open" in text  # the default of --weights
    assert "[default: fp32]" not in text  # that of --precision with the engine ray


def test_version():
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"poseact {poseact.__version__}\n")


def test_weights_list_keeps_addresses_whole(run_here):
    code, printed, errors = run_here("weights", "list", columns=80)
    assert code == 0, errors
    assert all(file.url in printed for file in catalogue.PUBLISHED)  # unbroken


def test_weights_list_names_release_and_check_sum(run_here):
    _, printed, _ = run_here("weights", "list")
    assert "weights_PE_MPII_cvpr18_19-09-2017.h5" in printed
    assert "d6b85ba4b8a3fc9d05c8ad73f763d999" in printed
