"""Notifications of all open pages, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

_BEAT_S = 15.0


class Events:
    """Notifies pages of changes; each page then fetches what it shows.

    Events of one kind that a page has not fetched yet are sent once, so that slow pages cost no
    memory.
    """

    def __init__(self) -> None:
        self._pages: set[_Page] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Called in the loop of the server."""
        self._loop = asyncio.get_running_loop()

    def tell(self, kind: str) -> None:
        """Tell all pages; may be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, kind)

    def end(self) -> None:
        """End all streams, so that the server can stop."""
        for page in self._pages:
            page.ended = True
            page.came.set()

    def _tell(self, kind: str) -> None:
        for page in self._pages:
            page.news[kind] = None
            page.came.set()

    async def stream(self) -> AsyncIterator[str]:
        """The events of one page."""
        page = _Page()
        self._pages.add(page)
        try:
            yield ": hello\n\n"
            while not page.ended:
                try:
                    await asyncio.wait_for(page.came.wait(), _BEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                page.came.clear()
                news, page.news = page.news, {}
                for kind in news:
                    yield f"event: {kind}\ndata: 1\n\n"
        finally:
            self._pages.discard(page)


class _Page:
    def __init__(self) -> None:
        self.news: dict[str, None] = {}
        self.came = asyncio.Event()
        self.ended = False
