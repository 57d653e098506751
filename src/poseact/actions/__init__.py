"""Actions over time: pose sequences, windows, answers, segments, timelines."""
