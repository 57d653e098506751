"""Pictures without people as training data of the confidence."""

import numpy as np
import pytest

from poseact._utils.errors import PoseActError
from poseact.data.augment import AugmentRanges, augmented_crop, evaluation_crop
from poseact.data.backgrounds import read_backgrounds
from poseact.media import write_image
from poseact.skeleton import PA21


@pytest.fixture
def folder(tmp_path):
    for number, shape in enumerate([(120, 300, 3), (200, 110, 3)]):
        picture = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
        write_image(tmp_path / f"room_{number}.jpg", picture)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_no_joint_is_ever_inside_a_crop_and_every_one_is_known(folder):
    ranges = AugmentRanges(wide=0.5, beside=0.5, spin=0.5)
    rng = np.random.default_rng(0)
    samples = read_backgrounds(folder, PA21, windows=5)
    assert len(samples) == 10
    for sample in samples:
        image = sample.image.read()
        for crop in (
            evaluation_crop(image, sample, 32),
            augmented_crop(image, sample, ranges.draw(rng), 32),
        ):
            assert crop.known.all()
            assert not crop.valid.any()
            assert not crop.depth_valid.any()


def test_windows_lie_inside_their_pictures_and_stay_the_same(folder):
    first, again = read_backgrounds(folder, PA21), read_backgrounds(folder, PA21)
    assert [sample.box for sample in first] == [sample.box for sample in again]
    assert len({sample.box for sample in first}) == len(first)
    for sample in first:
        height, width = sample.image.read().shape[:2]
        x0, y0, x1, y1 = sample.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height


def test_no_windows_and_no_pictures_are_refused(folder, tmp_path):
    with pytest.raises(PoseActError, match="windows=0 was given"):
        read_backgrounds(folder, windows=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PoseActError, match="empty"):
        read_backgrounds(tmp_path / "empty")
