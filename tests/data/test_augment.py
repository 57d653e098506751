import cv2
import numpy as np
import pytest

from poseact._utils.errors import PoseActError
from poseact.data.augment import AugmentRanges, augmented_crop, evaluation_crop, make_crop
from poseact.data.images import ImageFile
from poseact.data.sample import PoseSample
from poseact.media.crop import crop_matrix, person_square, transform_points, warp_image
from poseact.skeleton import PA16

SIZE = 128


def make_sample(tmp_path, joints, valid=None):
    valid = np.ones(len(PA16), bool) if valid is None else valid
    return PoseSample(
        name="sample",
        image=ImageFile(tmp_path / "none.jpg"),
        skeleton=PA16,
        joints=joints.astype(np.float32),
        valid=valid,
        visible=valid,
        depth_valid=valid & (joints.shape[1] == 3),
        box=(*joints[:, :2].min(0).tolist(), *joints[:, :2].max(0).tolist()),
    )


def joints_of(rng, width=300, height=200, depth=False):
    columns = [rng.uniform(60, width - 60, 16), rng.uniform(40, height - 40, 16)]
    return np.stack([*columns, rng.uniform(-500, 500, 16)] if depth else columns, 1)


def centre_of_light(image):
    """Brightness-weighted centre in continuous coordinates of a square crop, in [0, 1]."""
    weights = image.sum(-1).astype(float)
    grid = (np.arange(image.shape[0]) + 0.5) / image.shape[0]
    total = weights.sum()
    return np.array([(weights.sum(0) * grid).sum(), (weights.sum(1) * grid).sum()]) / total


@pytest.mark.parametrize(
    ("rotation", "flip", "side"),
    [(0, False, 150), (0, True, 150), (35, False, 200), (-40, True, 90), (20, True, 700)],
)
def test_rendered_dots_land_on_the_transformed_joints(tmp_path, rotation, flip, side):
    rng = np.random.default_rng(0)
    joints = joints_of(rng).round() + 0.5
    matrix = crop_matrix((150, 100, side), rotation, flip)
    checked = 0
    for index, (x, y) in enumerate(joints):
        image = np.zeros((200, 300, 3), np.uint8)
        cv2.circle(image, (int(x), int(y)), 5, (255, 255, 255), -1)
        crop = make_crop(image, make_sample(tmp_path, joints), matrix, SIZE)
        place = PA16.flip_indices[index] if flip else index
        expected = crop.joints[place, :2]
        if not (crop.valid[place] and (np.abs(expected - 0.5) < 0.4).all()):
            continue
        np.testing.assert_allclose(centre_of_light(crop.image), expected, atol=0.25 / SIZE)
        checked += 1
    assert checked >= 3


def test_rotation_is_clockwise_on_the_screen():
    matrix = crop_matrix((0, 0, 2), rotation_deg=90)
    np.testing.assert_allclose(transform_points(matrix, np.array([1.0, 0.0])), (0.5, 1), atol=1e-9)


def test_flip_of_flip_is_identity(tmp_path):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    sample = make_sample(tmp_path, rng.uniform(1, SIZE - 1, (16, 3)))
    flip = crop_matrix((SIZE / 2, SIZE / 2, SIZE), flip=True)
    once = make_crop(image, sample, flip, SIZE)
    np.testing.assert_array_equal(once.image, image[:, ::-1])
    pixels = np.column_stack((once.joints[:, :2] * SIZE, (once.joints[:, 2] - 0.5) * 2000))
    twice = make_crop(once.image, make_sample(tmp_path, pixels), flip, SIZE)
    np.testing.assert_array_equal(twice.image, image)
    np.testing.assert_allclose(twice.joints[:, :2] * SIZE, sample.joints[:, :2], atol=1e-3)
    np.testing.assert_allclose((twice.joints[:, 2] - 0.5) * 2000, sample.joints[:, 2], atol=1e-3)


def test_flip_swaps_sides_of_labels_and_validity(tmp_path):
    valid = np.ones(16, bool)
    valid[PA16.index("left_wrist")] = False
    joints = np.full((16, 2), 50.0)
    joints[PA16.index("right_wrist")] = (20, 30)
    image = np.zeros((100, 100, 3), np.uint8)
    matrix = crop_matrix((50, 50, 100), flip=True)
    crop = make_crop(image, make_sample(tmp_path, joints, valid), matrix, SIZE)
    np.testing.assert_allclose(crop.joints[PA16.index("left_wrist"), :2], (0.8, 0.3), atol=1e-6)
    assert crop.valid[PA16.index("left_wrist")]
    assert not crop.known[PA16.index("right_wrist")]


def test_crop_and_inverse_give_the_point_back():
    points = np.random.default_rng(2).uniform(-50, 400, (20, 2))
    matrix = crop_matrix((120, 80, 210), 33, flip=True)
    back = transform_points(np.linalg.inv(matrix), transform_points(matrix, points))
    np.testing.assert_allclose(back, points, atol=1e-9)


def test_outside_the_crop_is_invalid_but_known(tmp_path):
    joints = np.full((16, 2), 50.0)
    joints[0] = (5, 50)
    joints[1] = (25, 50)  # exactly on the border
    matrix = crop_matrix((50, 50, 50))
    crop = make_crop(np.zeros((100, 100, 3), np.uint8), make_sample(tmp_path, joints), matrix, SIZE)
    assert crop.valid.tolist() == [False, False] + [True] * 14
    assert crop.known.all()


def test_outside_the_image_is_black():
    image = np.full((40, 40, 3), 255, np.uint8)
    crop = warp_image(image, crop_matrix((20, 20, 80)), 64)
    assert crop[:14].max() == 0
    assert crop[18:46, 18:46].min() == 255


def test_strong_shrinking_averages():
    checkers = np.indices((512, 512)).sum(0) % 2 * 255
    image = np.repeat(checkers[..., None], 3, 2).astype(np.uint8)
    crop = warp_image(image, crop_matrix((256, 256, 512)), 128)
    assert np.abs(crop.astype(int) - 127).max() <= 2


def test_evaluation_window_is_square_around_the_labels():
    assert person_square((10, 20, 30, 120)) == (20, 70, 125)
    assert person_square((10, 20, 10, 20)) == (10, 20, 16)


def test_evaluation_crop_holds_every_label(tmp_path):
    sample = make_sample(tmp_path, joints_of(np.random.default_rng(3)))
    crop = evaluation_crop(np.zeros((200, 300, 3), np.uint8), sample, SIZE)
    assert crop.valid.all()
    assert crop.joints[:, :2].min() >= 0.1 - 1e-6
    np.testing.assert_array_equal(crop.joints[:, 2], 0.5)
    assert not crop.depth_valid.any()


def test_depth_is_relative_to_the_root_and_unharmed_by_geometry(tmp_path):
    sample = make_sample(tmp_path, joints_of(np.random.default_rng(4), depth=True))
    crop = make_crop(
        np.zeros((200, 300, 3), np.uint8), sample, crop_matrix((150, 100, 400), 30), SIZE
    )
    np.testing.assert_allclose(crop.joints[:, 2], 0.5 + sample.joints[:, 2] / 2000, atol=1e-6)


def test_augmentation_depends_on_the_generator_alone(tmp_path):
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    sample, before = make_sample(tmp_path, joints_of(rng)), image.copy()
    first, same, other = (
        augmented_crop(image, sample, AugmentRanges().draw(np.random.default_rng(seed)), SIZE)
        for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first.image, same.image)
    np.testing.assert_array_equal(first.joints, same.joints)
    assert not np.array_equal(first.image, other.image)
    np.testing.assert_array_equal(image, before)


def test_augmentation_stays_in_its_ranges(tmp_path):
    sample = make_sample(tmp_path, joints_of(np.random.default_rng(6)))
    centre_x, centre_y, side = person_square(sample.box)
    image = np.zeros((200, 300, 3), np.uint8)
    flips = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        augmentation = AugmentRanges(beside=0, wide=0).draw(rng)
        matrix = augmented_crop(image, sample, augmentation, 16).matrix
        scale = 1 / (np.sqrt(abs(np.linalg.det(matrix))) * side)
        flip = np.linalg.det(matrix) < 0
        first = matrix[0, :2] * (-1 if flip else 1)
        rotation = np.rad2deg(np.arctan2(-first[1], first[0]))
        window_centre = transform_points(np.linalg.inv(matrix), np.array([0.5, 0.5]))
        shift = np.abs(window_centre - (centre_x, centre_y)).max() / (scale * side)
        assert 0.7 <= scale <= 1.3
        assert abs(rotation) <= 40
        assert shift <= 0.08 + 1e-9
        flips += flip
    assert 70 < flips < 130


def still(**changes):
    """Ranges that change nothing else."""
    nothing = {
        "rotation_deg": 0, "scale": (1, 1), "translation": 0, "flip": 0, "power": (1, 1),
        "brightness": (1, 1), "occlusion": 0, "beside": 0, "wide": 0,
    }  # fmt: skip
    return AugmentRanges(**{**nothing, **changes})


def test_colours_follow_power_and_brightness(tmp_path):
    sample = make_sample(tmp_path, joints_of(np.random.default_rng(9)))
    image = np.zeros((200, 300, 3), np.uint8)
    image[:, 150:] = 128
    ranges = still(power=(1.1, 1.1), brightness=(0.8, 0.8))
    crop = augmented_crop(image, sample, ranges.draw(np.random.default_rng(0)), SIZE)
    assert set(np.unique(crop.image[:, : SIZE // 4])) == {0}
    expected = round(255 * 0.8 * (128 / 255) ** 1.1)
    assert crop.image.max() == expected


def test_an_occluder_is_one_rectangle_of_the_asked_size(tmp_path):
    sample = make_sample(tmp_path, joints_of(np.random.default_rng(9)))
    black = np.zeros((200, 300, 3), np.uint8)
    ranges = still(occlusion=1, occlusion_side=(0.25, 0.5))
    crop = augmented_crop(black, sample, ranges.draw(np.random.default_rng(2)), SIZE)
    rows, columns = np.nonzero(crop.image.any(-1))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert len(rows) == height * width
    assert 0.25 * SIZE - 1 <= min(height, width) <= max(height, width) <= 0.5 * SIZE + 1
    assert len(np.unique(crop.image[rows, columns], axis=0)) == 1


def test_a_wide_window_holds_the_person_anywhere(tmp_path):
    sample = make_sample(tmp_path, joints_of(np.random.default_rng(9)))
    image = np.zeros((200, 300, 3), np.uint8)
    centres = []
    for seed in range(40):
        ranges = still(wide=1, wide_scale=(2, 2))
        crop = augmented_crop(image, sample, ranges.draw(np.random.default_rng(seed)), 16)
        assert crop.valid.all()
        centres.append(crop.joints[:, :2].mean(0))
    assert (np.ptp(centres, axis=0) > 0.3).all()


def test_changes_can_be_switched_off(tmp_path):
    rng = np.random.default_rng(9)
    sample = make_sample(tmp_path, joints_of(rng))
    image = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    plain = augmented_crop(image, sample, still().draw(rng), SIZE)
    expected = evaluation_crop(image, sample, SIZE)
    np.testing.assert_array_equal(plain.image, expected.image)
    np.testing.assert_allclose(plain.joints, expected.joints, atol=1e-6)


@pytest.mark.parametrize("bad", [{"scale": (1.3, 0.7)}, {"power": (0, 1)}, {"flip": 1.5}])
def test_wrong_ranges_are_refused(bad):
    with pytest.raises(PoseActError, match=next(iter(bad))):
        AugmentRanges(**bad)
