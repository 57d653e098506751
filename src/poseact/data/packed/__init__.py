"""Data sets in tar shards: written, packed and read."""
