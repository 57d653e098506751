"""Members of uncompressed tar files, with checked sizes."""

import tarfile
from pathlib import Path

from poseact.data.images import ShardMember

# Bytes of zeros that a tar file ends with.
_END = 1024


def members_of(shard: Path) -> dict[str, ShardMember]:
    """The regular files in a tar file by name.

    Raises:
        Exception: Any of tarfile's, or ValueError: it is damaged, or a member is cut short.
    """
    whole = shard.stat().st_size
    with shard.open("rb") as file:
        file.seek(max(whole - _END, 0))
        if file.read().strip(b"\0"):
            raise ValueError("its end is missing")
    members: dict[str, ShardMember] = {}
    with tarfile.open(shard, "r:") as archive:
        for entry in archive:
            if not entry.isreg() or entry.issparse():
                raise ValueError(f"its member {entry.name!r} is no plain file")
            if entry.size < 0 or entry.offset_data + entry.size > whole:
                raise ValueError(f"its member {entry.name!r} is cut short")
            members[entry.name] = ShardMember(shard, entry.name, entry.offset_data, entry.size)
    return members
