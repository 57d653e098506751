"""Fuzzing of everything that reads a file.

``PYTHONPATH=tests python -m fuzz`` reads a thousand mutations of each format and prints a table.
"""
