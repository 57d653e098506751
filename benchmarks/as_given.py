"""The environment as the user gave it: importing poseact may add a waiting policy for its threads.

To be imported before poseact, for benchmarks whose child processes shall choose for themselves.
"""

import os

_GIVEN = dict(os.environ)


def restore() -> None:
    """Give child processes what the user gave."""
    os.environ.clear()
    os.environ.update(_GIVEN)
