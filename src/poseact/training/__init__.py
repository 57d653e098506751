"""Training of the networks from recipes."""
