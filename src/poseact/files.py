"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place once the block has succeeded.

    When the block fails, the temporary file is removed and whatever stood at ``path`` stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays because some writers choose the format by it.
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
