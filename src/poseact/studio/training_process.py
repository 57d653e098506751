"""The process that trains for the studio; reports its progress as lines of JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from poseact._utils.errors import PoseActError
from poseact._utils.files import locked, open_folder
from poseact.clips.train_actions import train_actions
from poseact.clips.train_plan import TrainPlan

_LOCK_WAIT_S = 0.5
# A process left behind by the last training may never release its lock.
_PATIENCE_S = 90.0


def main() -> None:
    """Train as given by the first argument, JSON: ``folder``, ``out``, ``cache`` and a ``plan``."""
    # A shell that started the studio in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wanted = json.loads(sys.argv[1])
    out = Path(wanted["out"])
    threading.Thread(target=_end_with_studio, daemon=True).start()
    try:
        open_folder(out)
        with _alone(out):
            report = train_actions(
                wanted["folder"],
                out,
                TrainPlan(**wanted["plan"]),
                cache=wanted["cache"],
                on_stage=lambda name, done, total: _tell(stage=name, done=done, total=total),
                on_row=lambda name, row: _tell(curve=name, loss=row["loss"]),
            )
        _tell(state="cancelled" if report.interrupted else "done", notes=report.notes)
    except PoseActError as error:
        _tell(state="failed", message=str(error))
    except KeyboardInterrupt:
        # Before the training itself listens to it.
        _tell(state="cancelled")


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts, allow_nan=False) + "\n")
    sys.stdout.flush()


def _end_with_studio() -> None:
    """Stop as at Ctrl-C when the studio has ended, however it did; finished steps are kept."""
    # Not sys.stdin, whose lock a thread that waits would keep at the end of the program.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Wait for the training of a studio that was killed, which ends after its step."""
    begun = monotonic()
    while True:
        with locked(out / ".lock") as free:
            if free or monotonic() - begun > _PATIENCE_S:
                yield
                return
        sleep(_LOCK_WAIT_S)


if __name__ == "__main__":
    main()
