"""Scenes of people who cross, hide and leave."""

from itertools import islice

import numpy as np
import pytest

from poseact._utils.errors import PoseActError
from poseact.cli import app
from poseact.evaluation.eval_tracking import counted_people, eval_tracking, read_labels
from poseact.media import VideoReader
from poseact.synthetic.crossing import SCENE_SIZE, TRUTH_TABLE, draw_scene, make_scenes


@pytest.mark.parametrize(
    ("number", "people"), [(0, 2), pytest.param(1, 3, marks=pytest.mark.slow(covers=True))]
)
def test_a_scene_says_who_is_seen_where(number, people):
    seen_ids = set()
    for picture, seen in islice(draw_scene(0, number, 1.0), 15):
        assert picture.shape == (*SCENE_SIZE[::-1], 3)
        for one in seen:
            x0, y0, x1, y1 = one.box
            assert 0 <= x0 < x1 <= SCENE_SIZE[0]
            assert 0 <= y0 < y1 <= SCENE_SIZE[1]
            assert 0 <= one.visible <= 1
        seen_ids |= {one.person for one in seen}
    assert seen_ids == set(range(people))


@pytest.mark.slow(covers=True)
def test_equal_seeds_give_equal_scenes():
    first, again, other = (next(draw_scene(seed, 0, 0.1))[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.slow(covers=True)
def test_scenes_are_written_with_their_ids(tmp_path):
    done = []
    (video,) = make_scenes(tmp_path, 1, seconds=0.2, on_frame=lambda *step: done.append(step))
    assert done == [(1, 3), (2, 3), (3, 3)]
    labels = read_labels(tmp_path / TRUTH_TABLE)
    assert list(labels) == [video.name]
    assert len(list(VideoReader(video))) == 3
    for frame, (_, seen) in enumerate(draw_scene(0, 0, 0.2)):
        own = labels[video.name][frame]
        np.testing.assert_array_equal(own[:, 0], [one.person for one in seen])
        np.testing.assert_allclose(own[:, 1:5], [one.box for one in seen])


@pytest.mark.slow(covers=True)
def test_the_ids_of_a_scene_are_scored(tmp_path):
    make_scenes(tmp_path, 1, seed=1, seconds=0.2)
    (score,) = eval_tracking(tmp_path, device="cpu").values()
    assert score.switches == 0
    assert score.right <= min(score.labelled, score.found)


@pytest.mark.slow(covers=True)
def test_the_command_scores_each_video_and_all(tmp_path, capsys):
    make_scenes(tmp_path, 2, seed=1, seconds=0.2)
    app(["eval-tracking", str(tmp_path), "--device", "cpu"], standalone_mode=False)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {row[1]: row for row in rows if row[1:2] and row[1].startswith(("scene-", "all"))}
    assert set(found) == {"scene-00.mp4", "scene-01.mp4", "all"}


def test_who_is_hidden_does_not_count():
    labels = np.array([[0, 0, 0, 10, 10, 1.0], [1, 50, 0, 60, 10, 0.1]])
    found = np.array([[7, 0, 0, 10, 10], [8, 50, 0, 60, 10], [9, 90, 0, 99, 10]], float)
    (people, _), (ids, boxes) = counted_people(labels, found)
    assert people.tolist() == [0]
    assert ids.tolist() == [7, 9]
    assert boxes.shape == (2, 4)


@pytest.mark.parametrize(
    ("text", "match"),
    [("source,frame\n", "lacks the columns person"), ("", "people.csv"), (None, "people.csv")],
)
def test_a_table_that_is_none_is_one_sentence(tmp_path, text, match):
    if text is not None:
        (tmp_path / TRUTH_TABLE).write_text(text)
    with pytest.raises(PoseActError, match=match):
        read_labels(tmp_path / TRUTH_TABLE)


def test_scenes_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(PoseActError, match="at least one scene"):
        make_scenes(tmp_path, 0)
