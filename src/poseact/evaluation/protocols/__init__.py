"""The published evaluation protocols, and the published results beside ours."""
