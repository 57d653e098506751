"""Windows of clips whose frames lie far apart."""

from __future__ import annotations

import numpy as np

from poseact.actions.windows import MAX_IN_GAP, window_ends


def test_windows_of_a_steady_clip():
    ends = window_ends(np.arange(0, 3, 0.1), frames=8, fps=10)
    np.testing.assert_allclose(ends, [0.7, 1.1, 1.5, 1.9, 2.3, 2.7, 2.9])


def test_a_gap_of_years_is_not_filled():
    times = np.array([0, 0.1, 1e9, 1e9 + 1, 1e9 + 2])
    ends = window_ends(times, frames=8, fps=10)
    assert MAX_IN_GAP < len(ends) < 2 * MAX_IN_GAP
    assert (np.diff(ends) > 0).all()
    assert ends[-1] == times[-1]
    assert (ends > 1e9).sum() >= 4
