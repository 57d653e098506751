from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.lsp_files import write_lsp_people
from poseact._utils.errors import PoseActError
from poseact.data.augment import AugmentRanges, evaluation_crop
from poseact.data.dataset import PoseRows, UnitSource, clip_square, clips, collate, stills
from poseact.data.images import ImageFile
from poseact.data.lsp import read_lsp_extended
from poseact.data.mix import RowKey, UnitKey
from poseact.data.unreadable import UnreadableTally, existing

STILL = AugmentRanges(
    rotation_deg=0, scale=(1, 1), translation=0, flip=0, power=(1, 1), brightness=(1, 1),
    occlusion=0, beside=0, wide=0,
)  # fmt: skip


@pytest.fixture
def people(tmp_path):
    write_lsp_people(tmp_path, 6)
    return read_lsp_extended(tmp_path)


def in_sequence(samples, name="walk"):
    """The samples as frames of one video."""
    return [replace(s, sequence=name, frame=number) for number, s in enumerate(samples)]


def key(*indices, source=0, epoch=0, size=32):
    return RowKey(source, tuple(UnitKey(epoch, index) for index in indices), size)


def test_without_changes_a_row_is_the_evaluation_crop(people):
    rows = PoseRows([UnitSource("people", stills(people))], STILL, seed=0)
    (crop,) = rows[key(2)].crops
    expected = evaluation_crop(people[2].image.read(), people[2], 32)
    np.testing.assert_array_equal(crop.image, expected.image)
    np.testing.assert_allclose(crop.joints, expected.joints)


def test_a_row_depends_on_its_key_alone(people):
    source = UnitSource("people", stills(people))
    first, second = (PoseRows([source], AugmentRanges(), seed=3) for _ in range(2))
    _ = second[key(5)]
    np.testing.assert_array_equal(first[key(1)].crops[0].image, second[key(1)].crops[0].image)
    other = first[key(1, epoch=1)].crops[0]
    assert not np.array_equal(first[key(1)].crops[0].image, other.image)


def test_a_clip_is_changed_as_one(people):
    units = clips(in_sequence(people), 3)
    rows = PoseRows([UnitSource("clips", units)], AugmentRanges(), seed=0)
    matrices = [crop.matrix for crop in rows[key(1)].crops]
    np.testing.assert_array_equal(matrices[0], matrices[1])
    np.testing.assert_array_equal(matrices[0], matrices[2])
    apart = PoseRows([UnitSource("stills", stills(people))], AugmentRanges(), seed=0)
    first, second = (crop.matrix for crop in apart[key(0, 1)].crops)
    assert not np.allclose(first, second)


def test_clips_follow_the_frames_and_never_cross_sequences(people):
    shuffled = in_sequence(people[:4], "b")[::-1] + in_sequence(people[4:], "a")
    units = clips(shuffled, 2)
    assert [[s.frame for s in unit] for unit in units] == [[0, 1], [2, 3], [0, 1]]
    assert all(len({s.sequence for s in unit}) == 1 for unit in units)
    with pytest.raises(PoseActError, match="longest of the 2 sequences has 4"):
        clips(shuffled, 5)
    with pytest.raises(PoseActError, match="the 4 samples are photos"):
        clips(people[:4], 2)
    x, y, side = clip_square(units[0])
    for sample in units[0]:
        assert x - side / 2 <= sample.box[0]
        assert y + side / 2 >= sample.box[3]


def test_stills_and_clips_of_two_and_three_dimensions_share_a_batch(people):
    with_depth = [
        replace(s, joints=np.c_[s.joints, np.full(16, 100.0)], depth_valid=s.valid)
        for s in in_sequence(people)
    ]
    sources = [UnitSource("2d", stills(people)), UnitSource("3d", clips(with_depth, 2))]
    rows = PoseRows(sources, STILL, seed=0)
    batch = collate([rows[key(0, 1)], rows[key(1, source=1)]])
    assert batch.images.shape == (2, 2, 32, 32, 3)
    assert batch.images.dtype == torch.uint8
    assert batch.targets.joints.shape == (2, 2, 16, 3)
    assert not batch.targets.depth_valid[0].any()
    assert batch.targets.depth_valid[1].all()
    np.testing.assert_allclose(batch.targets.joints[1, ..., 2], 0.55)
    assert batch.names == [["im00001.jpg", "im00002.jpg"], ["im00003.jpg", "im00004.jpg"]]


def test_an_unreadable_picture_is_replaced_and_named(people):
    people[1].image.path.write_bytes(b"no picture")
    rows = PoseRows([UnitSource("people", stills(people))], STILL, seed=0)
    row = rows[key(1)]
    assert row.names == ["im00003.jpg"]
    ((source, message),) = row.unreadable
    assert source == "people"
    assert "im00002.jpg" in message
    for sample in people:
        sample.image.path.unlink()
    with pytest.raises(PoseActError, match="None of the 6 pictures of people"):
        _ = rows[key(0)]


def test_unreadable_pictures_are_counted_once_and_are_an_error_beyond_one_percent():
    tally = UnreadableTally({"people": 200})
    tally.add([("people", "a is damaged")] * 3)
    tally.add([("people", "b is damaged")])
    assert tally.count == 2
    with pytest.raises(PoseActError, match=r"3 of the 200 pictures of people .* more than 1%"):
        tally.add([("people", "c is damaged")])


def test_missing_pictures_are_left_out(people, tmp_path):
    gone = replace(people[0], image=ImageFile(tmp_path / "gone.jpg"))
    tally = UnreadableTally({"people": 100})
    assert existing("people", [gone, *people], tally) == people
    assert tally.count == 1
