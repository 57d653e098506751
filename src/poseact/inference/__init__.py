"""From pictures and videos to poses: prediction, following, result tables."""
