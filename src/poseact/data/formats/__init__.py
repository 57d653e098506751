"""File formats of label files, read safely."""
