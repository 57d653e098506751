"""Helpers for the whole package: errors, files, signals, devices."""
