"""Readers of pose sequences from elsewhere: data sets, other tools and motion capture."""
