"""Actions of labelled videos: which frames are read, and how they are scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import poseact
from helpers.penn_action_files import write_penn_action
from poseact._utils.errors import PoseActError
from poseact.data.penn_action import read_penn_action
from poseact.data.video_windows import all_windows, centre_window, training_window
from poseact.evaluation.video_evaluation import ClipProtocol, evaluate_videos
from poseact.models.outputs import Action

ACTIONS = ("squat", "bowl")


class TestWindows:
    def test_the_centre_window_stands_in_the_middle(self):
        assert centre_window(11, 5, 1) == [3, 4, 5, 6, 7]
        assert centre_window(11, 5, 2) == [1, 3, 5, 7, 9]

    @pytest.mark.parametrize(("frames", "stride"), [(4, 1), (8, 2), (16, 3)])
    @pytest.mark.parametrize("length", [1, 3, 16, 50, 131])
    def test_windows_hold_only_frames_there_are(self, length, frames, stride):
        rng = np.random.default_rng(0)
        windows = [
            centre_window(length, frames, stride),
            training_window(length, frames, stride, rng),
            *all_windows(length, frames, stride),
        ]
        for window in windows:
            assert len(window) == frames
            assert set(window) <= set(range(length))

    def test_a_long_video_is_covered_from_its_first_frame_to_its_last(self):
        windows = all_windows(53, 8, 2)
        seen = {number for window in windows for number in window}
        assert windows[0][0] == 0
        assert max(seen) == 52
        # Half a window and a frame of the stride apart, as the authors go on.
        assert [window[0] for window in windows[:-1]] == list(range(0, 38, 5))

    def test_a_short_video_gets_a_smaller_stride_and_is_then_looped(self):
        assert all_windows(6, 4, 3) == [[0, 1, 2, 3], [2, 3, 4, 5]]
        assert all_windows(3, 5, 2) == [[0, 1, 2, 0, 1]]

    def test_training_windows_lie_anywhere(self):
        rng = np.random.default_rng(0)
        starts = {training_window(20, 4, 2, rng)[0] for _ in range(200)}
        assert starts == set(range(14))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("penn")
    write_penn_action(root, ACTIONS, videos=2, frames=7)
    return read_penn_action(root)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return poseact.create_model(
        "tiny", channels=16, low_channels=16, image_size=32, labels=ACTIONS, pose_width=8
    ).eval()


class OfFrames(torch.nn.Module):
    """Answers by what is white in the crops, so that what a protocol reads can be seen."""

    def __init__(self, config) -> None:
        super().__init__()
        self.config = config
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.seen: list[torch.Tensor] = []

    def forward(self, frames):
        self.seen.append(frames)
        score = self.scale * frames.mean((1, 2, 3, 4))
        answer = torch.stack((score, -score), -1).log_softmax(-1)
        actions = {"fused": [Action(answer, answer[..., None, None])]}
        return type("Seen", (), {"actions": actions})


def scores(network, videos, **options):
    return evaluate_videos(network, videos, ClipProtocol(**options), frames=4, data="Penn")


def test_every_video_is_scored(network, videos):
    found = scores(network, videos)
    assert found.clips == tuple(video.name for video in videos)
    assert [ACTIONS[target] for target in found.targets] == [video.action for video in videos]
    for answers in found.log_probabilities.values():
        np.testing.assert_allclose(np.exp(answers).sum(1), 1, atol=1e-6)
    assert "single clip of 4 frames in the middle" in found.protocol


def test_multi_clip_is_the_mean_over_its_clips(network, videos):
    (video,) = videos[:1]
    stub = OfFrames(network.config)
    found = scores(stub, [video], clips="multi", flip=True)
    assert len(stub.seen) == 2 * len(all_windows(7, 4, 1))
    for plain, mirrored in zip(stub.seen[::2], stub.seen[1::2], strict=True):
        torch.testing.assert_close(plain.flip(-1), mirrored, atol=0.05, rtol=0)
    scored = np.array([frames.mean().item() for frames in stub.seen])
    pairs = np.stack((scored, -scored), -1)
    mean = (pairs - np.logaddexp.reduce(pairs, axis=1, keepdims=True)).mean(0)
    mean -= np.logaddexp.reduce(mean)
    np.testing.assert_allclose(found.log_probabilities["fused"][0], mean, atol=1e-5)


def test_the_crop_stands_still_around_the_person(network, videos):
    stub = OfFrames(network.config)
    scores(stub, videos[:1], margin=1.0)
    scores(stub, videos[:1], margin=4.0)
    close, far = stub.seen
    # Outside of the picture it is black, which a wide crop shows much of.
    assert (far == -1).float().mean() > (close == -1).float().mean() + 0.3


def test_estimated_boxes_come_from_the_network(network, videos):
    labelled, estimated = (
        scores(network, videos[:1], boxes=boxes).log_probabilities["fused"]
        for boxes in ("truth", "estimated")
    )
    assert not np.allclose(labelled, estimated)


def test_what_cannot_be_scored_is_refused(network, videos):
    with pytest.raises(PoseActError, match="shows 'dance', which is none"):
        scores(network, [replace(videos[0], action="dance")])
    with pytest.raises(PoseActError, match="boxes='mine'"):
        ClipProtocol(boxes="mine")
    with pytest.raises(PoseActError, match="stride=0"):
        ClipProtocol(stride=0)
