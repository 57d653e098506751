"""Scoring of networks on labelled people."""
