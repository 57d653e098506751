"""Heads trained on cached joints and features: chance, balance, resuming, what is untouched."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import poseact
from poseact._utils.errors import PoseActError
from poseact.actions.answers import UNKNOWN, answer_windows, find_segments
from poseact.actions.clip_inputs import ClipInputs, read_windows, window_answers
from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.action_evaluation import evaluate
from poseact.evaluation.calibration import calibrate
from poseact.losses import ActionCriterion
from poseact.models.action import to_person_square
from poseact.models.outputs import Action
from poseact.models.sequence import SequenceNetwork
from poseact.skeleton import PA16, PENN13, Skeleton
from poseact.training.clip_augment import ClipAugment
from poseact.training.clip_bank import ClipBank
from poseact.training.heads import STATE_NAME, HeadRecipe, cross_folds, train_heads
from poseact.training.instant import train_instant

SMALL = HeadRecipe(batch=8, width=16)
NEUTRAL = ClipAugment(
    rate=(1, 1), cut=0, flip=0, rotation_deg=0, turn_deg=0, aspect=0, body=0, jitter=0, drop=0
)


def clip(label: str, number: int, dims: int = 2, skeleton: Skeleton = PENN13, channels: int = 0):
    """Somebody of any size anywhere who waves with a hand, jumps or stands."""
    rng = np.random.default_rng(number)
    times = np.cumsum(rng.uniform(0.05, 0.15, rng.integers(12, 30)))
    body = np.random.default_rng(0).normal(0, 1, (len(skeleton), dims))
    joints = body + rng.normal(0, 0.03, (len(times), len(skeleton), dims))
    swing = np.sin(8 * times + rng.uniform(0, 6))
    if label == "wave":
        joints[:, skeleton.index("left_wrist"), 0] += 2 * swing
    if label == "jump":
        joints[..., 1] += 2 * swing[:, None]
    joints = 200 * rng.uniform(0.5, 2) * joints + rng.uniform(-99, 99, dims)
    appearance = rng.normal(0, 1, (*joints.shape[:2], channels)).astype(np.float16)
    return PoseSequence(
        f"{label} {number}",
        skeleton,
        times,
        joints.astype(np.float32),
        np.ones(joints.shape[:2], np.float32),
        appearance=appearance if channels else None,
        label=label,
    )


def clips(numbers, **options):
    return [
        clip(label, 3 * n + k, **options)
        for n in numbers
        for k, label in enumerate(("jump", "stand", "wave"))
    ]


def create_model(**changes):
    small = {"channels": 16, "low_channels": 16, "image_size": 32, "appearance_channels": 8}
    return poseact.create_model("tiny", **small, **changes)


def windows(dims: int = 2, channels: int = 4) -> ClipInputs:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(3, 6, 13, *shape, generator=generator)

    return ClipInputs(draw(dims), (draw() > 0.2).float(), draw(channels))


def rng():
    return np.random.default_rng(5)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


class TestWindows:
    def test_they_lie_anywhere_in_the_clip(self):
        times, chance = np.arange(100) / 10, rng()
        rows = np.stack([ClipAugment().window(times, 8, 10.0, chance) for _ in range(200)])
        assert (np.diff(rows) >= 0).all()
        assert rows.min() < 5
        assert rows.max() > 95

    def test_the_rate_stretches_time(self):
        times = np.arange(200) / 20
        for rate, step in ((0.5, 4), (1, 2), (2, 1)):
            rows = replace(NEUTRAL, rate=(rate, rate)).window(times, 8, 10.0, rng())
            assert np.diff(rows).tolist() == [step] * 7

    def test_a_short_clip_is_cut_and_looped(self):
        times, chance = np.arange(10) / 10, rng()
        whole = [set(NEUTRAL.window(times, 30, 10.0, chance)) for _ in range(20)]
        assert all(rows == set(range(10)) for rows in whole)
        cut = [replace(NEUTRAL, cut=0.3).window(times, 30, 10.0, chance) for _ in range(60)]
        assert {rows.min() for rows in cut} == {0, 1, 2}
        assert {rows.max() for rows in cut} == {7, 8, 9}
        assert NEUTRAL.window(times[:1], 4, 10.0, chance).tolist() == [0] * 4


class TestAugment:
    def test_without_changes_only_the_square_is_left(self):
        inputs = windows(3)
        joints, confidence, appearance = NEUTRAL.apply(inputs, PENN13, rng())
        torch.testing.assert_close(joints, to_person_square(*inputs[:2]))
        assert torch.equal(confidence, inputs.confidence)
        assert torch.equal(appearance, inputs.appearance)

    def test_mirrored_twice_is_as_before(self):
        inputs, mirror = windows(), replace(NEUTRAL, flip=1)
        once = mirror.apply(inputs, PENN13, rng())
        left, right = PENN13.index("left_wrist"), PENN13.index("right_wrist")
        assert torch.equal(once.appearance[:, :, left], inputs.appearance[:, :, right])
        assert torch.equal(once.confidence[:, :, left], inputs.confidence[:, :, right])
        twice = mirror.apply(once, PENN13, rng())
        expected = NEUTRAL.apply(inputs, PENN13, rng())
        torch.testing.assert_close(
            to_person_square(*twice[:2]), to_person_square(*expected[:2]), atol=1e-5, rtol=0
        )

    def test_a_skeleton_without_sides_is_not_mirrored(self):
        inputs, plain = windows(), Skeleton.generic(13)
        mirrored = replace(NEUTRAL, flip=1).apply(inputs, plain, rng())
        assert torch.equal(mirrored.joints, NEUTRAL.apply(inputs, plain, rng()).joints)

    @pytest.mark.parametrize(("change", "dims"), [("rotation_deg", 2), ("turn_deg", 3)])
    def test_turning_keeps_the_distances_of_joints(self, change, dims):
        inputs = windows(dims)._replace(confidence=torch.ones(3, 6, 13))
        turned = replace(NEUTRAL, **{change: 60.0}).apply(inputs, PENN13, rng()).joints
        before = NEUTRAL.apply(inputs, PENN13, rng()).joints
        assert (turned - before).abs().max() > 0.1
        torch.testing.assert_close(
            torch.cdist(turned, turned), torch.cdist(before, before), atol=1e-4, rtol=1e-4
        )

    def test_a_turn_keeps_the_height(self):
        inputs = windows(3)
        turned = replace(NEUTRAL, turn_deg=60.0).apply(inputs, PENN13, rng())
        expected = NEUTRAL.apply(inputs, PENN13, rng())
        torch.testing.assert_close(turned.joints[..., 1], expected.joints[..., 1])

    def test_another_body_stays_the_same_within_a_window(self):
        inputs = windows()
        plain = NEUTRAL.apply(inputs, PENN13, rng()).joints
        shift = replace(NEUTRAL, body=0.1).apply(inputs, PENN13, rng()).joints - plain
        torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-4, rtol=0)
        assert 0.05 < shift.std() < 0.15
        noise = replace(NEUTRAL, jitter=0.1).apply(inputs, PENN13, rng()).joints - plain
        assert (noise - noise[:, :1]).std() > 0.05

    def test_a_dropped_joint_is_gone_from_the_whole_window(self):
        inputs = windows()._replace(confidence=torch.ones(3, 6, 13))
        dropped = replace(NEUTRAL, drop=0.5).apply(inputs, PENN13, rng())
        gone = (dropped.confidence == 0).all(1)
        assert torch.equal(gone, (dropped.confidence == 0).any(1))
        assert 0 < gone.sum() < gone.numel()
        assert (dropped.appearance.abs().sum((1, 3)) == 0).equal(gone)

    @pytest.mark.parametrize(
        "wrong", [{"rate": (2, 1)}, {"rate": (0, 1)}, {"flip": 2}, {"cut": -0.1}, {"jitter": -1}]
    )
    def test_wrong_ranges(self, wrong):
        with pytest.raises(PoseActError, match=next(iter(wrong))):
            ClipAugment(**wrong)


class TestBank:
    def test_every_label_and_every_clip_is_drawn_as_often(self):
        many = [clip("jump", n) for n in range(9)] + [clip("wave", n) for n in range(3)]
        bank = ClipBank(many, ("jump", "wave"), 2, with_appearance=False)
        drawn = bank.balanced_order(40, rng())
        counts = np.bincount(drawn, minlength=12)
        assert counts[:9].sum() == counts[9:].sum() == 20
        assert set(counts[:9]) == {2, 3}
        assert set(counts[9:]) == {6, 7}
        assert len(bank.balanced_order(41, rng())) == 41

    def test_windows_are_those_of_their_clips(self):
        some = clips(range(2), channels=3)
        bank = ClipBank(some, ("jump", "stand", "wave"), 2, with_appearance=True)
        chosen = np.array([4, 1])
        inputs = bank.random_windows(chosen, 8, 10.0, NEUTRAL, rng())
        chance = rng()
        for place, number in enumerate(chosen):
            sequence = some[number]
            rows = NEUTRAL.window(sequence.times, 8, 10.0, chance)
            joints = torch.from_numpy(sequence.joints[rows])[None]
            expected = to_person_square(joints, torch.ones(1, 8, 13))[0]
            torch.testing.assert_close(inputs.joints[place], expected)
            assert np.array_equal(inputs.appearance[place], sequence.appearance[rows[2::4]])
            assert bank.targets[number] == bank.targets[number % 3]


class TestCriterion:
    def test_blocks_are_summed_and_the_fusion_counts_once(self):
        logits, targets = torch.randn(5, 4, 3), torch.tensor([0, 2, 1, 1])
        blocks = [Action(block.log_softmax(-1), torch.empty(0)) for block in logits]
        criterion = ActionCriterion(label_smoothing=0.2)
        losses = [F.cross_entropy(block, targets, label_smoothing=0.2) for block in logits]
        both = {"pose": blocks[:2], "appearance": blocks[2:4], "fused": blocks[4:]}
        terms = criterion(both, targets)
        assert set(terms) == set(both)
        torch.testing.assert_close(terms["appearance"], losses[2] + losses[3])
        torch.testing.assert_close(criterion.total(terms), torch.stack(losses).sum())
        alone = criterion({"pose": blocks[:2], "fused": blocks[1:2]}, targets)
        torch.testing.assert_close(criterion.total(alone), losses[0] + losses[1])


class TestTraining:
    @pytest.mark.slow(covers=True)
    def test_actions_are_learned_from_poses(self, tmp_path):
        rows = []
        trained = train_heads(
            clips(range(8)),
            streams="pose",
            validation=clips(range(20, 22)),
            frames=16,
            fps=10,
            epochs=45,
            recipe=SMALL,
            on_progress=lambda epoch, epochs, row: rows.append((epoch, epochs, row)),
        )
        network = trained.network
        assert trained.finished
        assert isinstance(network, SequenceNetwork)
        assert not network.training
        assert (network.card.fps, network.config.frames) == (10, 16)
        assert network.config.labels == ("jump", "stand", "wave")
        assert [epoch for epoch, _, _ in rows] == list(range(1, 46))
        assert tuple(row for _, _, row in rows) == trained.record
        assert trained.record[-1]["loss"] < 0.7 * trained.record[0]["loss"]
        assert evaluate(network, clips(range(30, 36))).stream("pose").accuracy >= 0.9
        assert "accuracy/pose" in trained.record[-1]
        again = poseact.load(poseact.save(network, tmp_path / "actions.safetensors"))
        assert same(again, network)

    def run(self, numbers=range(3), **options):
        defaults = {"streams": "pose", "frames": 8, "fps": 10.0, "epochs": 3, "recipe": SMALL}
        return train_heads(clips(numbers, dims=3), **{**defaults, **options})

    def test_a_stopped_run_resumes_to_the_same_weights(self, tmp_path):
        whole = self.run(validation=clips(range(9, 10), dims=3))
        stop = []
        stopped = self.run(
            out=tmp_path,
            stop=stop,
            on_progress=lambda epoch, *_: stop.append(1) if epoch == 2 else 0,
        )
        assert not stopped.finished
        assert len(stopped.record) == 2
        resumed = self.run(out=tmp_path)
        assert same(resumed.network, whole.network)
        assert [row["loss"] for row in resumed.record] == [row["loss"] for row in whole.record]
        calls = []
        done = self.run(out=tmp_path, on_progress=lambda *row: calls.append(row))
        assert same(done.network, whole.network)
        assert not calls
        assert not same(self.run(seed=1).network, whole.network)

    def test_a_run_that_was_stopped_within_an_epoch_resumes_to_the_same_weights(self, tmp_path):
        class AtFifthStep:
            asked = 0

            def __bool__(self):
                self.asked += 1
                return self.asked >= 5

        whole = self.run()
        stopped = self.run(out=tmp_path, stop=AtFifthStep())
        state = torch.load(tmp_path / STATE_NAME, weights_only=True)
        assert not stopped.finished
        assert state["global_step"] == 5
        assert len(stopped.record) < 5 / 2
        resumed = self.run(out=tmp_path)
        assert same(resumed.network, whole.network)
        assert [row["loss"] for row in resumed.record] == [row["loss"] for row in whole.record]

    def test_a_state_that_cannot_be_read_is_not_replaced(self, tmp_path):
        (tmp_path / STATE_NAME).mkdir()
        with pytest.raises(PoseActError, match=r"heads.pt could not be read \(Is a directory\)"):
            self.run(out=tmp_path)
        assert (tmp_path / STATE_NAME).is_dir()

    @pytest.mark.slow(covers=True)
    def test_a_state_of_another_run_or_a_damaged_one_is_replaced(self, tmp_path, caplog):
        expected = self.run()
        self.run(seed=1, out=tmp_path)
        assert same(self.run(out=tmp_path).network, expected.network)
        assert "another training" in caplog.text
        self.run(range(4), out=tmp_path)
        assert same(self.run(out=tmp_path).network, expected.network)
        (tmp_path / STATE_NAME).write_bytes(b"no state")
        assert same(self.run(out=tmp_path).network, expected.network)
        assert "damaged" in caplog.text

    def test_the_pose_network_stays_as_it_is(self):
        pose_network = create_model()
        with torch.no_grad():
            for value in pose_network.state_dict().values():
                value.copy_(torch.rand_like(value.float()))
        data = clips(range(3), dims=3, skeleton=PA16, channels=16)
        options = {"frames": 8, "fps": 10.0, "epochs": 2, "recipe": SMALL}
        trained = train_heads(data, pose_network=pose_network, **options)
        assert same(trained.network.stem, pose_network.stem)
        assert same(trained.network.pose_model, pose_network.pose_model)
        assert set(trained.record[-1]) >= {"pose", "appearance", "fused"}
        assert trained.network.config.person_square
        alone = train_heads(data, streams="pose", pose_network=pose_network, **options)
        assert alone.network.config.streams == ("pose",)

    def test_what_cannot_be_trained(self):
        def refused(message, sequences, **options):
            with pytest.raises(PoseActError, match=message):
                train_heads(sequences, **{"streams": "pose", "epochs": 1, **options})

        some, flat = clips(range(2)), create_model(depth_maps=1)
        refused("1 different labels", [clip("jump", n) for n in range(3)])
        refused("label None", [*some, replace(some[0], label=None)])
        refused("joints of pa16", [*some, clip("jump", 1, skeleton=PA16)])
        refused("give pose_network", some, streams="both")
        refused("reads those of pa16", some, pose_network=flat)
        posed = clips(range(2), skeleton=PA16)
        refused("no appearance", posed, streams="both", pose_network=flat)
        refused("2D joints", posed, pose_network=create_model())
        refused("epochs=0", some, epochs=0)
        nan = replace(SMALL, optimiser=SMALL.optimiser.model_copy(update={"lr": 1e30}))
        refused("check these sequences", some, epochs=3, recipe=nan)


class TestFolds:
    def test_recordings_stay_whole_and_actions_are_spread(self):
        many = [replace(s, recording=f"r{n // 2}") for n, s in enumerate(clips(range(12)))]
        fold_of = cross_folds(many, 3, seed=0)
        for recording in {s.recording for s in many}:
            own = [f for s, f in zip(many, fold_of, strict=True) if s.recording == recording]
            assert len(set(own)) == 1
        for label in ("jump", "stand", "wave"):
            assert {f for s, f in zip(many, fold_of, strict=True) if s.label == label} == {0, 1, 2}
        with pytest.raises(PoseActError, match="folds=1"):
            cross_folds(many, 1, seed=0)

    def test_every_clip_has_a_network_that_has_not_seen_it(self):
        some = clips(range(6))
        options = {"streams": "pose", "frames": 8, "fps": 10.0, "epochs": 2, "recipe": SMALL}
        trained = train_heads(some, folds=3, **options)
        assert {s.name for _, s in trained.unseen} == {s.name for s in some}
        assert len({id(network) for network, _ in trained.unseen}) == 3
        assert not any(same(network, trained.network) for network, _ in trained.unseen)
        assert not train_heads(some, **options).unseen


class TestInstant:
    options: ClassVar = {"streams": "pose", "frames": 16, "fps": 10.0}

    def test_one_clip_of_each_action_is_enough(self, tmp_path):
        network = train_instant(clips(range(1)), **self.options)
        assert evaluate(network, clips(range(30, 36))).stream().accuracy > 0.6
        few = train_instant(clips(range(4)), **self.options)
        assert evaluate(few, clips(range(30, 36))).stream().accuracy >= 0.9
        again = poseact.load(poseact.save(few, tmp_path / "instant.safetensors"))
        one = clip("wave", 99)
        torch.testing.assert_close(
            window_answers(again, one, [1.0])["fused"], window_answers(few, one, [1.0])["fused"]
        )

    def test_appearance_tells_actions_too(self):
        def coloured(number, shade):
            one = clip("stand", number, dims=3, skeleton=PA16, channels=16)
            return replace(one, appearance=one.appearance + np.float16(shade), label=f"is {shade}")

        some = [coloured(4 * n + k, 3 * k) for n in range(3) for k in range(2)]
        network = train_instant(some, pose_network=create_model(), frames=8, fps=10.0)
        scores = evaluate(network, [coloured(100 + k, 3 * k) for k in range(2)])
        assert scores.stream("appearance").accuracy == 1

    def test_one_action_alone_is_refused(self):
        with pytest.raises(PoseActError, match="1 different labels"):
            train_instant([clip("jump", n) for n in range(3)], **self.options)


class TestFamiliarity:
    @pytest.mark.slow
    def test_strange_motion_is_unknown_and_known_motion_is_named(self):
        trained = train_heads(
            clips(range(8)),
            **{**TestInstant.options, "epochs": 45, "recipe": SMALL, "folds": 3, "seed": 1},
        )
        readers, seen = zip(*trained.unseen, strict=True)
        assert not read_windows(trained.network, seen[0], [1.0]).familiarity.any()
        calibrate(trained.network, seen, readers=readers)

        def share(sequences):
            named = [
                find_segments(trained.network, answer_windows(trained.network, s))[0].label
                for s in sequences
            ]
            return np.mean([label != UNKNOWN for label in named])

        def lying(number):
            one = clip("wave", number)
            return replace(one, joints=one.joints[..., ::-1].copy())

        assert share(clips(range(40, 56))) >= 0.7
        assert share([lying(n) for n in range(40, 56)]) <= 0.2
