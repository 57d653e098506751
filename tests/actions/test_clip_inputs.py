"""Sequences, windows by time, and what the action networks make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import poseact
from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import action_network, clip_inputs, window_answers, window_fps
from poseact.actions.pose_sequence import PoseSequence
from poseact.actions.windows import centre_end, nearest, window_ends, window_indices
from poseact.models.action import sharpen, to_person_square
from poseact.models.sequence import SequenceConfig
from poseact.skeleton import PA16, PENN13


def sequence(frames: int = 30, fps: float = 30, dims: int = 2, **changes) -> PoseSequence:
    rng = np.random.default_rng(0)
    arrays = {
        "times": np.arange(frames) / fps,
        "joints": rng.normal(100, 30, (frames, len(PENN13), dims)).astype(np.float32),
        "confidence": np.ones((frames, len(PENN13)), np.float32),
    }
    return PoseSequence("somebody", PENN13, **{**arrays, **changes})


def network(**changes):
    torch.manual_seed(0)
    config = SequenceConfig(PENN13, ("wave", "walk", "sit"), frames=8, **changes)
    built = config.build().eval()
    built.card = replace(built.card, fps=10.0)
    return built


class TestWindows:
    def test_another_frame_rate_gives_the_same_moments(self):
        for fps in (20, 30, 60):
            times = np.arange(4 * fps) / fps
            rows = window_indices(times, 2.0, 8, 10.0)
            np.testing.assert_allclose(times[rows], np.arange(1.3, 2.05, 0.1), atol=1e-9)

    def test_uneven_times_take_the_nearest_frame(self):
        times = np.array([0, 0.1, 0.12, 0.3, 0.41, 0.5])
        assert window_indices(times, 0.5, 6, 10.0).tolist() == [0, 1, 2, 3, 4, 5]
        assert nearest(times, np.array([0.05, 0.2, 9.0])).tolist() == [0, 2, 5]

    def test_a_short_clip_is_looped(self):
        times = np.arange(5) / 10
        assert window_indices(times, 0.4, 12, 10.0).tolist() == [3, 4, *range(5), *range(5)]
        assert window_indices(times[:1], 0.0, 4, 10.0).tolist() == [0, 0, 0, 0]

    def test_what_comes_later_changes_nothing(self):
        rng = np.random.default_rng(0)
        times = np.cumsum(rng.uniform(0.01, 0.08, 200))
        for end in times[[0, 3, 50, 120]]:
            live = times[times <= end]
            expected = window_indices(times, end, 16, 12.5)
            assert window_indices(live, end, 16, 12.5).tolist() == expected.tolist()
            assert expected[-1] == len(live) - 1

    def test_where_a_clip_starts_changes_nothing(self):
        rng = np.random.default_rng(0)
        for start in rng.uniform(0, 1000, 300):
            for fps, rate in ((30, 10.0), (30, 20.0), (25, 12.5)):
                times = np.arange(60) / fps
                end = 15 / rate
                moved = window_indices(start + times, start + end, 16, rate)
                assert moved.tolist() == window_indices(times, end, 16, rate).tolist()
                assert moved[0] == 0

    def test_old_frames_can_be_forgotten(self):
        times = np.arange(100) / 30
        kept = times[60:]
        np.testing.assert_array_equal(
            window_indices(times, times[-1], 8, 10.0), 60 + window_indices(kept, kept[-1], 8, 10.0)
        )

    def test_windows_cover_the_clip(self):
        times = np.arange(100) / 10
        ends = window_ends(times, 16, 10.0)
        assert ends[0] == pytest.approx(1.5)
        assert ends[-1] == times[-1]
        assert np.diff(ends).max() <= 0.8 + 1e-9
        seen = {i for end in ends for i in window_indices(times, end, 16, 10.0)}
        assert seen == set(range(100))
        assert window_ends(times[:5], 16, 10.0).tolist() == [times[4]]
        assert window_ends(times, 16, 10.0, hop=1).size == 85

    def test_the_centre_window_lies_in_the_middle(self):
        times = np.arange(101) / 10
        rows = window_indices(times, centre_end(times, 11, 10.0), 11, 10.0)
        assert rows.tolist() == list(range(45, 56))
        assert centre_end(times[:3], 11, 10.0) == times[2]


class TestPersonSquare:
    def test_place_and_size_do_not_matter(self):
        joints, confidence = torch.rand(2, 9, 13, 3), torch.rand(2, 9, 13)
        moved = torch.cat((joints[..., :2] * 37 - 250, joints[..., 2:]), -1)
        expected = to_person_square(joints, confidence)
        torch.testing.assert_close(to_person_square(moved, confidence), expected)
        assert torch.equal(expected[..., 2], joints[..., 2])

    def test_movement_within_the_clip_is_kept(self):
        body = torch.rand(1, 1, 13, 2)
        steps = torch.linspace(0, 3, 5).reshape(1, 5, 1, 1) * torch.tensor([1.0, 0.0])
        square = to_person_square(body + steps, torch.ones(1, 5, 13))
        moved = square[:, 1:] - square[:, :-1]
        assert (moved[..., 0] > 0).all()
        torch.testing.assert_close(moved[..., 1], torch.zeros(1, 4, 13))

    def test_joints_that_are_not_seen_have_no_say(self):
        joints, confidence = torch.rand(1, 4, 13, 2), torch.ones(1, 4, 13)
        confidence[:, :, 3] = 0
        confidence[:, 2] = 0
        wild = joints.clone()
        wild[:, :, 3] = 1e6
        wild[:, 2] = -1e6
        seen = confidence > 0
        torch.testing.assert_close(
            to_person_square(wild, confidence)[seen], to_person_square(joints, confidence)[seen]
        )

    def test_a_clip_without_a_person_stays_finite(self):
        assert to_person_square(torch.zeros(1, 4, 13, 2), torch.zeros(1, 4, 13)).isfinite().all()

    def test_sharpened_confidence_is_the_scaled_logit(self):
        confidence = torch.tensor([0.1, 0.5, 0.8])
        for dims, power in ((2, 4), (3, 2)):
            expected = torch.sigmoid(power * torch.logit(confidence))
            torch.testing.assert_close(sharpen(confidence, dims), expected)
        assert sharpen(torch.tensor([0.0, 1.0]), 2).tolist() == [0, 1]


class TestSequences:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"times": np.arange(5.0)}, r"30, 13, 2.* 13 joints"),
            ({"times": np.zeros(30)}, "are not increasing"),
            ({"joints": np.full((30, 13, 2), np.nan, np.float32)}, "not finite"),
            ({"confidence": np.ones((30, 12), np.float32)}, r"30, 12"),
        ],
    )
    def test_arrays_that_do_not_fit_are_refused(self, changes, message):
        with pytest.raises(PoseActError, match=message):
            sequence(**changes)

    def test_the_last_frame_lasts_as_long_as_the_others(self):
        assert sequence().fps == pytest.approx(30)
        assert sequence().duration == pytest.approx(1)

    def test_depth_is_in_the_network_s_range(self):
        joints = np.zeros((30, 13, 3), np.float32)
        joints[..., 2] = 500
        assert (sequence(dims=3, joints=joints).network_joints()[..., 2] == 0.75).all()
        assert (joints[..., 2] == 500).all()


class TestAnswers:
    def test_windows_are_answered_one_by_one_or_together(self):
        clip, reader = sequence(70), network()
        ends = window_ends(clip.times, 8, 10.0)
        answers = window_answers(reader, clip, ends)
        assert answers["fused"].shape == (len(ends), 3)
        assert set(answers) == {"pose", "fused"}
        alone = [window_answers(reader, clip, [end])["fused"] for end in ends]
        torch.testing.assert_close(torch.cat(alone), answers["fused"])
        torch.testing.assert_close(answers["fused"].exp().sum(1), torch.ones(len(ends)))

    def test_the_temperature_flattens_the_probabilities(self):
        clip, reader = sequence(), network()
        sharp = window_answers(reader, clip, [0.9])["fused"]
        reader.card = replace(reader.card, temperature=3.0)
        flat = window_answers(reader, clip, [0.9])["fused"]
        torch.testing.assert_close(flat, (sharp / 3).log_softmax(-1))

    def test_depth_is_left_out_for_2d(self):
        clip = sequence(dims=3)
        assert clip_inputs(clip, [0.9], 8, 10.0, 2).joints.shape == (1, 8, 13, 2)
        with pytest.raises(PoseActError, match="2D joints, but the network reads 3D"):
            clip_inputs(sequence(), [0.9], 8, 10.0, 3)

    def test_networks_and_sequences_must_fit(self):
        other = PoseSequence(
            "other", PA16, np.arange(3.0), np.zeros((3, 16, 2), "f"), np.ones((3, 16), "f")
        )
        with pytest.raises(PoseActError, match=r"joints of pa16, .* penn13"):
            window_answers(network(), other, [1.0])
        with pytest.raises(PoseActError, match="do not recognise actions"):
            action_network(poseact.create_model("tiny"))
        reader = network()
        reader.card = replace(reader.card, fps=None)
        with pytest.raises(PoseActError, match="frame rate"):
            window_fps(reader)

    def test_a_sequence_network_is_kept_whole(self, tmp_path):
        reader = network(coordinates=3)
        reader.card = replace(reader.card, temperature=1.5, unknown_below=0.4, pose_weights="tiny")
        again = poseact.load(poseact.save(reader, tmp_path / "actions.safetensors"))
        assert again.card == reader.card
        assert again.config == reader.config
        clip = sequence(dims=3)
        expected = window_answers(reader, clip, [0.9])["fused"]
        assert torch.equal(window_answers(again, clip, [0.9])["fused"], expected)


@pytest.mark.parametrize("streams", [("pose",), ("appearance",), ("pose", "appearance")])
def test_one_stream_or_both(streams):
    torch.manual_seed(0)
    small = {"channels": 16, "low_channels": 16, "image_size": 32}
    built = poseact.create_model("tiny", labels=("a", "b"), streams=streams, **small).eval()
    with torch.no_grad():
        prediction = built(torch.rand(2, 5, 3, 32, 32))
    assert set(prediction.actions) == {*streams, "fused"}
    if len(streams) == 1:
        answer = prediction.actions[streams[0]][-1].log_probabilities
        assert torch.equal(prediction.action.log_probabilities, answer)
    again = built.recognise(*prediction.action_pose[:2], prediction.appearance)
    torch.testing.assert_close(
        again["fused"][-1].log_probabilities, prediction.action.log_probabilities
    )


def test_streams_that_there_are_not():
    with pytest.raises(PoseActError, match="streams="):
        poseact.create_model("tiny", labels=("a", "b"), streams=("audio",))
    built = poseact.create_model("tiny", labels=("a", "b"))
    with pytest.raises(PoseActError, match="No appearance"):
        built.recognise(torch.rand(1, 4, 16, 3), torch.rand(1, 4, 16))
