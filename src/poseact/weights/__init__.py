"""Weights: checkpoints, the authors' Keras files, the catalogue of published ones."""
