"""What is done with every new clip in the background."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.clips import write_video
from poseact.studio.examiner import seen_span


class SeesBright:
    """Loses its person in dark pictures."""

    def follow_frame(self, frame, follower):
        follower.window = (1, 1, 1) if frame.image.mean() > 100 else None


def write(path, *stretches):
    """A video of 10 pictures per second, bright or dark for some seconds each."""
    values = [value for value, seconds in stretches for _ in range(round(10 * seconds))]
    return write_video(path, [np.full((48, 64, 3), value, np.uint8) for value in values], fps=10)


@pytest.mark.parametrize(
    ("stretches", "span"),
    [
        ([(0, 1), (200, 2), (0, 1)], (1, 3)),
        ([(200, 2), (0, 2)], (0, 2)),
        ([(0, 2), (200, 2)], (2, 4)),
        ([(0, 1), (200, 1), (0, 1), (200, 1), (0, 1)], (1, 4)),
    ],
)
def test_a_recording_is_cut_to_where_the_person_is_seen(tmp_path, stretches, span):
    found = seen_span(SeesBright(), write(tmp_path / "video.mp4", *stretches))
    # Looked at four times a second, with some room on both sides.
    assert found == pytest.approx(span, abs=0.6)
    assert found[0] <= span[0]


@pytest.mark.parametrize("value", [0, 200])
def test_a_recording_of_somebody_or_nobody_throughout_stays_whole(tmp_path, value):
    assert seen_span(SeesBright(), write(tmp_path / "video.mp4", (value, 2))) is None
