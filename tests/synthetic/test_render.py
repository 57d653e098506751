"""The generator of synthetic pictures: body, motions and rendering."""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np
import pytest

from poseact.data.camera import Camera
from poseact.synthetic import render as rendering
from poseact.synthetic.angles import ANGLES, LIMITS, MIRROR, rotation
from poseact.synthetic.body import Body, Shape
from poseact.synthetic.clothes import draw_outfit
from poseact.synthetic.families import families
from poseact.synthetic.joints import SYNTHETIC, joints_of
from poseact.synthetic.motion import HELD_OUT, Motion, draw_motion, mirrored, recordings
from poseact.synthetic.random_person import draw_sequence, draw_shape
from poseact.synthetic.scene import View, ball, box, draw_light, tube


@pytest.fixture(scope="module")
def body() -> Body:
    return Body(Shape({"caucasian-male-young": 1.0}))


def pose(**degrees: float) -> np.ndarray:
    return np.array([degrees.get(name, 0.0) for name in ANGLES])


def place(joints: np.ndarray, name: str) -> np.ndarray:
    return joints[SYNTHETIC.index(name)]


class TestBody:
    def test_t_pose_faces_forward(self, body):
        t_pose = pose(left_arm_elevation=90, right_arm_elevation=90)
        joints = joints_of(body.pose(t_pose, np.eye(3)))
        left, right = (place(joints, f"{side}_wrist") for side in ("left", "right"))
        assert left[0] > 600
        assert right[0] < -600
        np.testing.assert_allclose(left[1:], place(joints, "left_shoulder")[1:], atol=1)
        assert place(joints, "nose")[2] > place(joints, "neck")[2] + 50
        assert place(joints, "head")[1] > place(joints, "neck")[1] > place(joints, "pelvis")[1]
        assert place(joints, "left_foot")[2] > place(joints, "left_ankle")[2] + 50

    @pytest.mark.parametrize(
        ("angle", "joint", "axis", "sign"),
        [
            ("left_elbow_flexion", "left_wrist", 2, 1),
            ("left_hip_flexion", "left_knee", 2, 1),
            ("left_knee_flexion", "left_ankle", 2, -1),
            ("left_hip_abduction", "left_ankle", 0, 1),
            ("right_hip_abduction", "right_ankle", 0, -1),
            ("trunk_flexion", "head", 2, 1),
            ("trunk_bend", "head", 0, -1),
            ("left_ankle_flexion", "left_foot", 1, 1),
        ],
    )
    def test_angles_turn_the_right_way(self, body, angle, joint, axis, sign):
        before, after = (
            place(joints_of(body.pose(pose(**{angle: degrees}), np.eye(3))), joint)
            for degrees in (0, 30)
        )
        assert (after - before)[axis] * sign > 40

    def test_mirrored_motion_mirrors_the_joints(self, body):
        rng = np.random.default_rng(3)
        angles = np.array([[rng.uniform(low / 2, high / 2) for low, high in LIMITS.values()]])
        motion = Motion("any", angles, (rotation("y", 30) @ rotation("x", 40))[None])
        other = mirrored(motion)
        a, b = (
            joints_of(body.pose(m.angles[0], m.roots[0]))
            - place(joints_of(body.pose(m.angles[0], m.roots[0])), "pelvis")
            for m in (motion, other)
        )
        np.testing.assert_allclose(b[list(SYNTHETIC.flip_indices)] @ MIRROR, a, atol=8)

    def test_recordings_stand_upright_within_limits(self):
        low, high = np.array(list(LIMITS.values())).T
        for name, (angles, roots) in recordings().items():
            assert ((angles >= low - 0.1) & (angles <= high + 0.1)).all(), name
            if name != "dance1":
                assert np.median(roots[:, 1, 1]) > 0.8, name

    def test_assets_are_small_and_licensed(self):
        folder = files("poseact") / "assets/makehuman"
        assert sum(len(path.read_bytes()) for path in folder.iterdir()) < 5e6
        assert "CC0" in (folder / "LICENSE.md").read_text()


class TestParts:
    def test_no_motion_in_common(self):
        assert not {f.name for f in families("train")} & {f.name for f in families("validation")}
        assert set(HELD_OUT) < set(recordings())

    def test_no_body_in_common(self):
        for part, sign in (("train", -1), ("validation", 1)):
            for seed in range(20):
                shape, _ = draw_shape(np.random.default_rng(seed), part)
                t = shape.targets
                strong, heavy = (
                    sum(v for k, v in t.items() if high in k)
                    - sum(v for k, v in t.items() if low in k)
                    for low, high in (("minmuscle", "maxmuscle"), ("minweight", "maxweight"))
                )
                assert strong * heavy * sign >= 0

    @pytest.mark.parametrize("part", ["train", "validation"])
    def test_drawn_motions_are_of_the_part_and_within_limits(self, body, part):
        low, high = np.array(list(LIMITS.values())).T
        own = {f.name for f in families(part)}
        own |= {name for name in recordings() if (name in HELD_OUT) == (part == "validation")}
        rng = np.random.default_rng(0)
        for _ in range(12):
            motion = draw_motion(rng, part, 3, body)
            assert motion.name in own
            assert ((motion.angles >= low - 0.1) & (motion.angles <= high + 0.1)).all()

    def test_family_ranges_are_within_limits(self):
        sides = ("left_", "right_", "both_")
        for family in (*families("train"), *families("validation")):
            for name, (low, high) in family.angles.items():
                bare = name
                for side in sides:
                    bare = bare.removeprefix(side)
                limit = LIMITS.get(bare) or LIMITS[f"left_{bare}"]
                assert low <= high, (family.name, name)
                assert high > limit[0], (family.name, name)
                assert low < limit[1], (family.name, name)


FRONT = View(
    np.array([0.0, 0, 4000]),
    np.diag([1.0, -1.0, -1.0]),
    Camera((400.0, 400.0), (100.0, 100.0)),
    200,
    200,
)
"""In front of somebody who stands at the origin."""


class TestRendering:
    view = View(
        np.zeros(3), np.diag([1.0, -1.0, -1.0]), Camera((120.0, 120.0), (40.0, 32.0)), 80, 64
    )

    def test_rasterizer_agrees_with_the_camera(self):
        corners = np.array([[-200.0, -100, -1000], [300, -100, -1200], [0, 200, -1500]])
        places = self.view.to_camera(corners)
        depth = np.full((128, 160), 1e5, np.float32)
        colours = np.eye(3, dtype=np.float32)
        out = rendering.rasterize(places, np.array([[0, 1, 2]]), colours, self.view, depth)
        centre = places.mean(0)
        x, y = (self.view.camera.project(centre) * 2).astype(int)
        assert depth[y, x] == pytest.approx(centre[2], rel=0.02)
        assert out[y, x].min() > 0.2
        rows, columns = np.nonzero(depth < 9e4)
        pixels = self.view.camera.project(places) * 2
        np.testing.assert_allclose([columns.min(), rows.min()], pixels.min(0), atol=1.5)
        np.testing.assert_allclose([columns.max() + 1, rows.max() + 1], pixels.max(0), atol=1.5)

    @pytest.mark.parametrize(
        "solid",
        [
            box(np.zeros(3), np.array([2.0, 3, 4]), rotation("y", 20), np.ones(3)),
            tube(np.zeros(3), np.array([0.0, 3, 1]), (1.0, 2.0), np.ones(3)),
            ball(np.zeros(3), 2.0, np.ones(3)),
        ],
    )
    def test_solids_face_outwards(self, solid):
        a, b, c = (solid.vertices[solid.triangles[:, i]] for i in range(3))
        faces = np.cross(b - a, c - a)
        large = np.linalg.norm(faces, axis=1) > 1e-6
        middle = solid.vertices.mean(0)
        outward = ((a + b + c) / 3 - middle) * faces
        assert (outward.sum(1)[large] > 0).all()

    def test_visible_joints_lie_on_the_person(self, monkeypatch):
        pictures = []
        monkeypatch.setattr(
            "poseact.synthetic.random_person.render",
            lambda *args: pictures.append(rendering.render(*args)) or pictures[-1],
        )
        for seed in range(6):
            list(draw_sequence(np.random.default_rng(seed), "train", 1, 128, ()))
        visible = 0
        for picture in pictures:
            near = cv2.dilate(picture.person, np.ones((3, 3)))
            for x, y in picture.joints[picture.visible].astype(int):
                assert near[y, x] > 0
                visible += 1
        assert visible > 6 * len(SYNTHETIC) / 3

    def test_hidden_side_is_not_visible_and_sides_are_the_persons(self, body):
        outfit = draw_outfit(np.random.default_rng(0), female=False)
        arms = {f"{side}_arm_elevation": 30.0 for side in ("left", "right")}
        for turn, shown in ((0, True), (180, False)):
            posed = body.pose(pose(**arms), rotation("y", turn))
            light = draw_light(np.random.default_rng(0), FRONT)
            picture = rendering.render(posed, outfit, [], light, FRONT, np.zeros((200, 200, 3)))
            assert picture.visible[SYNTHETIC.index("nose")] == shown
            left, right = (
                picture.joints[SYNTHETIC.index(f"{s}_wrist"), 0] for s in ("left", "right")
            )
            # Who faces the camera has the left hand on the picture's right.
            assert (left > right) == shown

    def test_something_in_front_hides_joints(self, body):
        outfit = draw_outfit(np.random.default_rng(0), female=False)
        posed = body.pose(pose(), np.eye(3))
        wall = box(np.array([0.0, -600, 1000]), np.array([2000.0, 900, 50]), np.eye(3), np.ones(3))
        light = draw_light(np.random.default_rng(0), FRONT)
        picture = rendering.render(posed, outfit, [wall], light, FRONT, np.zeros((200, 200, 3)))
        seen = dict(zip(SYNTHETIC.joints, picture.visible, strict=True))
        assert seen["nose"]
        assert not seen["left_knee"]
        assert not seen["right_ankle"]
