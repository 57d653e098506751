"""The parts of a studio, and the state of its folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from poseact._utils.errors import PoseActError
from poseact._utils.files import open_folder
from poseact.actions.action_names import BACKGROUND
from poseact.clips.check_clips import FEW_RECORDINGS
from poseact.clips.folder import Clip
from poseact.studio.action_list import ActionList
from poseact.studio.clip_edits import ClipEdits, checked_label, relative
from poseact.studio.events import Events
from poseact.studio.examiner import Examiner
from poseact.studio.instant_learning import renew_instant
from poseact.studio.intake import keep_recording, keep_upload
from poseact.studio.live_socket import LiveHub
from poseact.studio.places import Places
from poseact.studio.recognisers import Recognisers
from poseact.studio.training_job import TrainingJob

# Of the notes on the whole folder; the pages say by themselves what is missing for a training.
_SHOWN = frozenset({"no clips"})


class Studio:
    """The state and services that the pages of one folder share.

    Args:
        folder: Of clips; made if it is missing.
        skeleton_only: Show and store no pictures.

    Raises:
        PoseActError: The folder cannot be made.
    """

    def __init__(self, folder: Path, *, skeleton_only: bool = False) -> None:
        self.places = Places(folder.resolve())
        self.skeleton_only = skeleton_only
        open_folder(self.places.own)
        open_folder(self.places.incoming)
        for left in self.places.incoming.iterdir():
            left.unlink()
        self.edits = ClipEdits(self.places.folder)
        self.actions = ActionList(self.places.actions)
        self.events = Events()
        self.recognisers = Recognisers(self.places)
        self.hub = LiveHub(self.recognisers)
        self.training = TrainingJob(self.places, self._tell_training, not skeleton_only)
        self.examiner = Examiner(
            *(self.edits, self.places, lambda: self.events.tell("clips")),
            pictures=not skeleton_only,
            learn=partial(renew_instant, self.places.instant),
        )

    def start(self) -> None:
        """Begin the work in the background; called in the loop of the server."""
        self.events.start()
        self.examiner.start()
        self.examiner.wake()
        self.hub.warm_up()
        self.training.resume_if_killed()

    def end(self) -> None:
        """End the background work; the next start resumes it."""
        self.examiner.end()
        self.training.end()

    def changed(self) -> None:
        """Tell all pages and the examiner that clips were changed."""
        self.events.tell("clips")
        self.examiner.wake()

    def _tell_training(self) -> None:
        self.events.tell("training")
        if self.training.progress.state == "done":
            # There is a new recogniser.
            self.events.tell("clips")

    def incoming(self) -> Path:
        """A new file to receive into."""
        return self.places.incoming / uuid4().hex

    def keep(self, received: Path, label: str, name: str, *, recorded: bool) -> Clip:
        """Keep a video that was received, and list it as a clip.

        Args:
            received: The file.
            label: Its action.
            name: Asked for; another one where it is taken or no file can have it.
            recorded: By the studio's own page; it is then kept unchanged, and trimmed.

        Raises:
            PoseActError: It is no video, or the folder cannot take it.
        """
        label = checked_label(label)
        if self.skeleton_only:
            raise PoseActError("With --skeleton-only no pictures are stored; start without it.")
        keep = keep_recording if recorded else keep_upload
        kept = keep(received, self.incoming())
        try:
            clip = self.edits.take(kept, label, name)
        finally:
            kept.unlink(missing_ok=True)
        if recorded:
            self.examiner.trim(clip.name)
        self.changed()
        return clip

    def labels(self) -> list[str]:
        """The labels of all clips, in their order."""
        return [clip.label for clip in self.edits.listing().clips]

    def state(self) -> dict[str, Any]:
        """The state of the folder that the pages show, as JSON values."""
        problem, clips, missing, unlisted = None, [], [], []
        try:
            listing = self.edits.listing()
            clips, missing, unlisted = listing.clips, listing.missing, listing.unlisted
        except PoseActError as error:
            problem = str(error)
        notes = self.examiner.notes
        return {
            "folder": self.places.folder.name,
            "problem": problem,
            "skeleton_only": self.skeleton_only,
            "actions": self._actions(clips),
            "clips": [self._clip(clip) for clip in clips],
            "missing": [{"file": row["file"], "label": row["label"]} for row in missing],
            "unlisted": [{"file": file, "label": _folder_of(file)} for file in unlisted],
            "notes": [note.message for note in notes if note.clip is None and note.kind in _SHOWN],
            "trash": len(self.edits.trash()),
            "can_undo": self.edits.can_undo,
            "waiting": self.examiner.waiting,
            "recognisers": self.recognisers.available(),
        }

    def _actions(self, clips: Sequence[Clip]) -> list[dict[str, Any]]:
        counts = Counter(clip.label for clip in clips)
        recordings = {label: {c.recording for c in clips if c.label == label} for label in counts}
        return [
            {
                "label": label,
                "colour": colour,
                "clips": counts[label],
                "recordings": len(recordings.get(label, ())),
                "wanted": max(FEW_RECORDINGS - len(recordings.get(label, ())), 0),
                "other": label == BACKGROUND,
            }
            for label, colour in self.actions.all(counts).items()
        ]

    def _clip(self, clip: Clip) -> dict[str, Any]:
        last = self.examiner.last_frame(clip)
        thumbnail = self.examiner.thumbnail(clip)
        end = last if math.isinf(clip.end) else clip.end
        return {
            "clip": clip.name,
            "file": relative(self.places.folder, clip),
            "label": clip.label,
            "part": clip.part or "",
            "recording": clip.recording,
            "start": clip.start,
            "end": end,
            "open_end": math.isinf(clip.end),
            "examined": last is not None,
            "thumbnail": thumbnail.stem if thumbnail.is_file() else None,
            "notes": [
                {"kind": note.kind, "severity": note.severity, "message": note.message}
                for note in self.examiner.notes
                if note.clip == clip.name
            ],
        }


def _folder_of(file: str) -> str:
    parts = Path(file).parts
    return parts[0] if len(parts) > 1 else ""
