"""What an action over time is: pose sequence, windows, answers, segments, timeline."""
