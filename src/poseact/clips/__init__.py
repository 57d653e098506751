"""The user's own clips: finding, checking, splitting, reading, training, reporting."""
