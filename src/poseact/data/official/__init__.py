"""Data sets as their authors distribute them: read and checked."""
