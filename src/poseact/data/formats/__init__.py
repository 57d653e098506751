"""File formats of label files, read without trusting what they claim."""
