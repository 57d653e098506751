"""Reads sequences of any known format: chooses the reader and checks its options."""

import inspect
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.files import walk_files
from poseact._utils.left_out import LeftOut
from poseact.actions.action_names import clean_labels
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.ntu import read_ntu
from poseact.data.penn_action import read_penn
from poseact.data.sequences.arrays import read_arrays
from poseact.data.sequences.bvh import read_bvh
from poseact.data.sequences.coco_tracks import read_coco_tracks
from poseact.data.sequences.predicted_tables import read_tables
from poseact.data.sequences.pyskl import read_pyskl
from poseact.data.sequences.utd_mhad import read_utd_mhad

Reader = Callable[..., list[PoseSequence]]

READERS: dict[str, Reader] = {
    "penn": read_penn,
    "utd-mhad": read_utd_mhad,
    "ntu": read_ntu,
    "pyskl": read_pyskl,
    "bvh": read_bvh,
    "coco-tracks": read_coco_tracks,
    "table": read_tables,
    "npz": read_arrays,
}
"""Readers by the kind of what they read."""

FOLDERS = "folders"
"""Kind of a folder that holds a folder of sequences for each action."""

_BY_SUFFIX = {
    ".skeleton": "ntu",
    ".bvh": "bvh",
    ".parquet": "table",
    ".npz": "npz",
    ".json": "coco-tracks",
    ".pkl": "pyskl",
    ".pickle": "pyskl",
}
_IN_FOLDERS = ("ntu", "bvh", "table", "npz")
"""Kinds that a folder of an action may hold, each file with sequences of this one action."""

_UTD_MHAD = re.compile(r"a\d+_s\d+_t\d+_skeleton\.mat")


def read_sequences(path: str | Path, kind: str | None = None, **options: Any) -> list[PoseSequence]:
    """Sequences of joints from a file or a folder of any known format.

    Args:
        path: A file or a folder.
        kind: A key of ``READERS``, or ``folders`` for one folder for each action; by default what
            the names of the files suggest.
        options: Keywords of the reader, such as ``fps``.

    Returns:
        At least one sequence, in the order of the files, with different names.

    Raises:
        PoseActError: There is no such path or kind, the reader has no such option, or a file
            cannot be read.
    """
    path = Path(path)
    kind = guess_kind(path) if kind is None else kind
    if kind == FOLDERS:
        return read_folders(path, **options)
    if kind not in READERS:
        raise PoseActError(
            f"Sequences of kind {kind!r} were asked for; give {', '.join(READERS)} or {FOLDERS}."
        )
    unknown = set(options) - _options(READERS[kind])
    if unknown:
        raise PoseActError(
            f"The option {', '.join(sorted(unknown))} was given for sequences of kind {kind}; "
            f"its options are {', '.join(sorted(_options(READERS[kind]))) or 'none'}."
        )
    with one_sentence(
        f"{path} cannot be read as {kind} ({{error}}); check the file and the options."
    ):
        found = READERS[kind](path, **options)
    return _with_recordings(found)


def guess_kind(path: Path) -> str:
    """The kind of a file by its suffix, of a folder by its content.

    Raises:
        PoseActError: There is no such path, or nothing in it shows the kind.
    """
    if not path.exists():
        raise PoseActError(f"{path} does not exist; give a file or a folder of sequences.")
    files = [file for file in _visible(path) if file.is_file()] if path.is_dir() else [path]
    kinds = {kind for file in files if (kind := _kind_of_file(file))}
    # The folder that 'poseact predict' writes holds its tables as JSON too.
    kinds -= {"coco-tracks"} if "table" in kinds else set()
    if len(kinds) == 1:
        return kinds.pop()
    if not kinds and path.is_dir():
        return _kind_of_folders(path)
    raise PoseActError(
        f"{path} could be {' or '.join(sorted(kinds)) or 'none of the known formats'}; "
        f"give the kind: {', '.join(READERS)} or {FOLDERS}."
    )


def read_folders(path: Path, **options: Any) -> list[PoseSequence]:
    """Sequences of a folder with one folder for each action.

    Each of them holds ``.npz``, ``.parquet``, ``.bvh`` and ``.skeleton`` files at any depth. The
    action is the folder's name, cleaned as those of folders of videos are; hidden files are left
    out, and files that cannot be read are with a warning.

    Args:
        path: The folder.
        options: Keywords of the readers; each gets those that it knows.

    Raises:
        PoseActError: No folder holds a sequence that can be read, two folders have the same name
            once cleaned, or no reader of the files knows an option.
    """
    folders = [folder for folder in _visible(path) if folder.is_dir()]
    files = [
        (folder, file)
        for folder in folders
        for file in walk_files(folder)
        if _kind_of_file(file) in _IN_FOLDERS
    ]
    if not files:
        raise PoseActError(
            f"{path} holds no folder with {', '.join(f'*{s}' for s in _suffixes())} files; "
            "make a folder for each action and put its sequences there."
        )
    labels = clean_labels(folder.name for folder, _ in files)
    used: set[str] = set()
    left, sequences = LeftOut(path, "files"), []
    for folder, file in files:
        reader = READERS[_kind_of_file(file) or ""]
        known = {key: value for key, value in options.items() if key in _options(reader)}
        used |= set(known)
        name = file.relative_to(path).as_posix()
        found: list[PoseSequence] = []
        with left.entry():
            found = reader(file, **known)
        for number, sequence in enumerate(found):
            sequences.append(
                replace(
                    sequence,
                    name=name if len(found) == 1 else f"{name}#{number}",
                    label=labels[folder.name],
                )
            )
    left.finish(sequences)
    if unknown := set(options) - used:
        raise PoseActError(
            f"The option {', '.join(sorted(unknown))} was given, but no file in {path} is of a "
            "format that has it; leave it out."
        )
    return _with_recordings(sequences)


def _with_recordings(sequences: list[PoseSequence]) -> list[PoseSequence]:
    """A sequence without a recording is a recording of its own; repeated names are numbered."""
    times: Counter[str] = Counter()
    found = []
    for seq in sequences:
        times[seq.name] += 1
        name = seq.name if times[seq.name] == 1 else f"{seq.name} ({times[seq.name]})"
        found.append(replace(seq, name=name, recording=seq.recording or seq.name))
    return found


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _kind_of_file(file: Path) -> str | None:
    if file.suffix.lower() == ".mat":
        return "utd-mhad" if _UTD_MHAD.fullmatch(file.name) else "penn"
    return _BY_SUFFIX.get(file.suffix.lower())


def _kind_of_folders(path: Path) -> str:
    """The kind of a folder of folders; Penn Action and UTD-MHAD have folders of fixed names."""
    for name, kind in (("labels", "penn"), ("Skeleton", "utd-mhad")):
        if any(_kind_of_file(file) == kind for file in (path / name).glob("*.mat")):
            return kind
    return FOLDERS


def _options(reader: Reader) -> set[str]:
    return set(inspect.signature(reader).parameters) - {"path"}


def _suffixes() -> list[str]:
    return [suffix for suffix, kind in _BY_SUFFIX.items() if kind in _IN_FOLDERS]
