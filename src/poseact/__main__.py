"""``python -m poseact`` is the ``poseact`` command."""

from poseact.cli import main

main()
