"""Scores of action networks, their protocols, and their calibration."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import clip_inputs, window_answers
from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.action_evaluation import ActionProtocol, evaluate, mirrored
from poseact.evaluation.action_scores import (
    ActionScores,
    expected_calibration_error,
    wilson_interval,
)
from poseact.evaluation.calibration import calibrate, fit_temperature, reject_threshold, tempered
from poseact.models.multitask import MultitaskConfig
from poseact.models.sequence import SequenceConfig
from poseact.skeleton import PA16, PENN13
from poseact.weights.checkpoint import load, save

LABELS = ("wave", "walk", "sit")


def sequence(number: int = 0, frames: int = 40, label: str | None = "wave") -> PoseSequence:
    rng = np.random.default_rng(number)
    joints = rng.normal(100, 30, (frames, len(PENN13), 2)).astype(np.float32)
    confidence = rng.uniform(0.4, 1, joints.shape[:2]).astype(np.float32)
    times = np.arange(frames) / 20
    return PoseSequence(f"clip {number}", PENN13, times, joints, confidence, label=label)


def network(seed: int = 0):
    torch.manual_seed(seed)
    built = SequenceConfig(PENN13, LABELS, frames=8).build().eval()
    built.card = replace(built.card, fps=10.0)
    # Fresh class maps are nearly even; sharper ones tell clips apart.
    with torch.no_grad():
        built.action_model.pose_stream.blocks.blocks[-1].to_maps.weight.mul_(10)
    return built


def clips(count: int = 12) -> list[PoseSequence]:
    return [sequence(i, 20 + 3 * i, LABELS[i % 3]) for i in range(count)]


def scores(targets, answers, labels=LABELS) -> ActionScores:
    names = tuple(f"clip {i}" for i in range(len(targets)))
    table = np.log(np.asarray(answers, float))
    return ActionScores("by hand", labels, names, np.array(targets), {"fused": table})


class TestScores:
    def test_by_hand(self):
        sure = np.eye(3) * 0.7 + 0.1
        found = scores([0, 0, 0, 1], sure[[0, 0, 2, 1]] / sure.sum(1)[0])
        stream = found.stream()
        assert stream.accuracy == 0.75
        assert stream.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
        assert stream.per_class == {"wave": pytest.approx(2 / 3), "walk": 1.0}
        assert stream.confusion.tolist() == [[2, 0, 1], [0, 1, 0], [0, 0, 0]]
        assert found.majority == 0.75
        assert found.worst(1) == [2]

    def test_clips_of_some_actions(self):
        sure = np.eye(3) * 0.7 + 0.1
        found = scores([0, 1, 2], sure[[0, 0, 2]]).only(["walk", "sit"])
        assert found.clips == ("clip 1", "clip 2")
        assert found.stream().accuracy == 0.5
        assert found.stream().confusion[1].tolist() == [1, 0, 0]
        with pytest.raises(PoseActError, match="None of the 2 clips"):
            found.only(["wave"])

    def test_no_such_stream(self):
        with pytest.raises(PoseActError, match="give one of fused"):
            scores([0], [[0.5, 0.3, 0.2]]).stream("pose")

    def test_as_json(self):
        content = json.loads(json.dumps(scores([0, 1], [[0.5, 0.3, 0.2]] * 2).to_json()))
        assert content["streams"]["fused"]["accuracy"] == 0.5
        assert content["clips"] == ["clip 0", "clip 1"]
        assert np.exp(content["log_probabilities"]["fused"][0][1]) == pytest.approx(0.3, abs=1e-3)

    def test_wilson_interval(self):
        # Values of R's prop.test(correct = FALSE).
        assert wilson_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
        assert wilson_interval(0, 10) == pytest.approx((0, 0.2775328), abs=1e-6)
        assert wilson_interval(10, 10) == pytest.approx((0.7224672, 1), abs=1e-6)

    def test_calibration_error_by_hand(self):
        answers = np.log([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
        targets = np.array([0, 1, 0, 0])
        # Bin of 0.9: 0.9 against 1/2; bin of 0.6: 0.6 against 1/2.
        assert expected_calibration_error(answers, targets) == pytest.approx(0.25)
        weights = np.array([3, 1, 0, 0])
        assert expected_calibration_error(answers, targets, weights) == pytest.approx(0.15)

    def test_calibrated_answers_have_little_error(self):
        rng = np.random.default_rng(0)
        answers = np.log(rng.dirichlet(np.ones(4), 20_000))
        targets = np.array([rng.choice(4, p=row) for row in np.exp(answers)])
        assert expected_calibration_error(answers, targets) < 0.01
        assert expected_calibration_error(tempered(answers, 0.3), targets) > 0.15


class TestEvaluate:
    def test_centre_clip(self):
        net, clip = network(), sequence(frames=41)
        found = evaluate(net, [clip], ActionProtocol("centre"))
        # 41 frames at 20 fps: the middle lies at 1 s, the window of 8 frames at 10 fps ends there
        # plus 0.35 s.
        answer = net.recognise(*clip_inputs(clip, [1.35], 8, 10.0, 2))["fused"][-1]
        expected = answer.log_probabilities.detach().numpy()
        np.testing.assert_allclose(found.log_probabilities["fused"], expected, atol=1e-5)

    def test_multi_clip_is_the_mean_of_windows_half_a_window_apart(self):
        net, clip = network(), sequence(frames=41)
        found = evaluate(net, [clip], ActionProtocol("multi"))
        ends = [0.7, 1.1, 1.5, 1.9, 2.0]
        mean = window_answers(net, clip, ends)["fused"].mean(0).log_softmax(-1)
        np.testing.assert_allclose(found.log_probabilities["fused"][0], mean, atol=1e-5)

    def test_a_clip_is_scored_by_itself(self):
        net, several = network(), clips()
        together = evaluate(net, several).log_probabilities["fused"]
        alone = [evaluate(net, [clip]).log_probabilities["fused"][0] for clip in several]
        np.testing.assert_allclose(together, alone, atol=1e-6)
        assert together.std(0).min() > 0.1

    def test_with_mirroring_left_and_right_are_the_same(self):
        net, several = network(), clips()
        both = ActionProtocol("multi", flip=True)
        there = evaluate(net, several, both).log_probabilities["fused"]
        back = evaluate(net, [mirrored(clip) for clip in several], both).log_probabilities["fused"]
        np.testing.assert_allclose(there, back, atol=1e-5)
        plain = evaluate(net, several).log_probabilities["fused"]
        assert np.abs(there - plain).max() > 1e-2

    def test_mirrored(self):
        clip = replace(sequence(), appearance=np.zeros((40, len(PENN13), 2), np.float16))
        clip.appearance[:, PENN13.index("left_wrist"), 0] = 1
        other = mirrored(clip)
        left, right = PENN13.index("left_wrist"), PENN13.index("right_wrist")
        np.testing.assert_array_equal(other.joints[:, right, 0], -clip.joints[:, left, 0])
        np.testing.assert_array_equal(other.joints[:, right, 1], clip.joints[:, left, 1])
        np.testing.assert_array_equal(other.confidence[:, right], clip.confidence[:, left])
        assert (other.appearance[:, right, 0] == 1).all()
        np.testing.assert_array_equal(mirrored(other).joints, clip.joints)

    @pytest.mark.parametrize("crop", ["centre", "multi"])
    def test_clips_of_a_frame_or_two_are_scored(self, crop):
        found = evaluate(network(), [sequence(0, 1), sequence(1, 2)], ActionProtocol(crop))
        assert np.isfinite(found.log_probabilities["fused"]).all()
        assert found.stream().confusion.sum() == 2

    @pytest.mark.parametrize("label", ["fly", None])
    def test_a_clip_that_cannot_be_scored_is_an_error(self, label):
        with pytest.raises(PoseActError, match=r"clip 1 .* cannot be scored"):
            evaluate(network(), [sequence(0), sequence(1, label=label)])

    def test_without_clips(self):
        with pytest.raises(PoseActError, match="No clip"):
            evaluate(network(), [])

    def test_unknown_crop(self):
        with pytest.raises(PoseActError, match="centre, multi"):
            ActionProtocol("corner")

    def test_the_protocol_tells_how_to_repeat_it(self):
        found = evaluate(network(), clips(), ActionProtocol("multi", flip=True))
        for part in ("multi clip", "every 4 frames", "8 frames at 10 fps", "mirrored", "12 clips"):
            assert part in found.protocol

    def test_every_stream_is_scored(self):
        shape = {"num_blocks": 1, "channels": 16, "low_channels": 8, "action_blocks": 1}
        config = MultitaskConfig(PA16, LABELS, person_square=True, frames=4, stem="light", **shape)
        net = config.build()
        net.card = replace(net.card, fps=10.0)
        rng = np.random.default_rng(0)
        clip = PoseSequence(
            "clip",
            PA16,
            np.arange(9) / 10,
            rng.normal(0, 1, (9, 16, 2)).astype(np.float32),
            np.ones((9, 16), np.float32),
            rng.normal(0, 1, (9, 16, 16)).astype(np.float16),
            "walk",
        )
        assert set(evaluate(net, [clip]).log_probabilities) == {"pose", "appearance", "fused"}
        with pytest.raises(PoseActError, match="No appearance"):
            evaluate(net, [replace(clip, appearance=None)])


class TestCalibration:
    def drawn(self, count: int = 4000, temperature: float = 3.0):
        """Answers that are too sure by a known temperature, with their true actions."""
        rng = np.random.default_rng(0)
        calibrated = np.log(rng.dirichlet(np.full(5, 0.6), count))
        targets = np.array([rng.choice(5, p=row) for row in np.exp(calibrated)])
        return tempered(calibrated, 1 / temperature), targets, np.ones(count)

    @pytest.mark.parametrize("temperature", [0.5, 3.0])
    def test_the_temperature_is_found(self, temperature):
        raw, targets, weights = self.drawn(temperature=temperature)
        assert fit_temperature(raw, targets, weights) == pytest.approx(temperature, rel=0.06)

    def test_a_few_clips_all_classified_correctly_make_nothing_certain(self):
        raw = np.log(np.eye(3) * 0.97 + 0.01)
        temperature = fit_temperature(raw, np.arange(3), np.ones(3))
        # Three right answers of three stand for a probability of 4 / 5.
        assert np.exp(tempered(raw, temperature).max()) == pytest.approx(0.8, abs=1e-3)

    def test_the_threshold_keeps_what_it_says(self):
        raw, _, weights = self.drawn()
        best = np.exp(raw.max(1))
        for kept in (0.5, 0.95, 1.0):
            threshold = reject_threshold(best, weights, kept)
            assert (best >= threshold).mean() >= kept
            assert (best > threshold).mean() < kept

    def test_the_card_is_written_and_read_again(self, tmp_path):
        net = network()
        found = calibrate(net, clips())
        assert net.card.temperature == found.temperature != 1
        again = load(save(net, tmp_path / "actions.safetensors"))
        assert again.card.temperature == found.temperature
        assert again.card.unknown_below == found.unknown_below
        assert found.nll_after <= found.nll_before

    def test_what_was_on_the_card_does_not_matter(self):
        once, twice = network(), network()
        twice.card = replace(twice.card, temperature=7.0)
        assert calibrate(once, clips()) == calibrate(twice, clips())

    def test_the_best_action_stays(self):
        net = network()
        before = evaluate(net, clips()).log_probabilities["fused"]
        found = calibrate(net, clips())
        after = evaluate(net, clips()).log_probabilities["fused"]
        np.testing.assert_allclose(after, tempered(before, found.temperature), atol=1e-5)

    @pytest.mark.slow(covers=True)
    def test_enough_known_motion_is_named(self):
        net, several = network(), clips(40)
        calibrate(net, several, kept=0.8)
        shares = []
        for clip in several:
            ends = ActionProtocol().ends(clip, 8, 10.0)
            best = window_answers(net, clip, ends)["fused"].exp().amax(1)
            shares.append(float((best >= net.card.unknown_below - 1e-6).float().mean()))
        assert 0.8 <= np.mean(shares) < 0.87

    def test_the_background_has_no_say_in_the_threshold(self):
        net, several = network(), clips()
        known = [clip for clip in several if clip.label != "sit"]
        with_it = calibrate(net, several, background="sit")
        assert with_it.unknown_below == pytest.approx(
            reject_by_hand(net, known, with_it.temperature)
        )


def reject_by_hand(net, several: list[PoseSequence], temperature: float) -> float:
    """The threshold at a given temperature."""
    net.card = replace(net.card, temperature=temperature)
    answers, weights = [], []
    for clip in several:
        found = window_answers(net, clip, ActionProtocol().ends(clip, 8, 10.0))["fused"].numpy()
        answers.append(found)
        weights += [1 / len(found)] * len(found)
    return reject_threshold(np.exp(np.concatenate(answers).max(1)), np.array(weights), 0.95)
