"""The published evaluation protocols, and published results beside ours."""
