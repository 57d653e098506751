"""Readers of pose sequences from elsewhere: data sets, other tools and motion capture."""

from poseact.data.sequences.registry import READERS, read_sequences

__all__ = ["READERS", "read_sequences"]
