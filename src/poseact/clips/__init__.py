"""The user's own clips: found, checked, split, read, trained on and reported."""
