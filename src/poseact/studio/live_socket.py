"""The live WebSocket: pictures in, answers out, one picture in flight."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from poseact._utils.errors import PoseActError
from poseact.actions.answers import UNKNOWN
from poseact.media import decode_image
from poseact.studio.recognisers import Reader, Recognisers, Seen, as_json, hello

MOST_PICTURE_BYTES = 4 * 2**20
"""Size of the largest picture that is taken."""

MOST_SENDERS = 4
"""Clients that may send pictures at once."""

_JPEG = b"\xff\xd8\xff"
_TIME = struct.Struct(">d")
_COUNTED_S = 0.5
_LISTENED = 8


class Tally:
    """How often each action was seen: a run of answers of at least half a second counts once."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._runs: dict[int, tuple[str | None, float, bool]] = {}

    def add(self, time: float, people: list[Seen]) -> None:
        """Count the answers of a picture."""
        runs: dict[int, tuple[str | None, float, bool]] = {}
        for seen in people:
            label, person = seen.label, seen.pose.person
            last, begun, counted = self._runs.get(person, (None, time, False))
            if label != last:
                begun, counted = time, False
            if not counted and time - begun >= _COUNTED_S and label not in (None, UNKNOWN):
                self.counts[str(label)] = self.counts.get(str(label), 0) + 1
                counted = True
            runs[person] = (label, begun, counted)
        self._runs = runs


class LiveHub:
    """All live connections; those that send no picture get the answers of those that do.

    Args:
        recognisers: Of the folder.
    """

    def __init__(self, recognisers: Recognisers) -> None:
        self._recognisers = recognisers
        # One thread: two networks at once would each be less than half as fast.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._listeners: set[asyncio.Queue[str]] = set()
        self._senders = 0
        self.last: dict[str, Any] | None = None

    async def serve(self, socket: WebSocket) -> None:
        """Serve one connection until it is closed."""
        await socket.accept()
        answers: asyncio.Queue[str] = asyncio.Queue(_LISTENED)
        self._listeners.add(answers)
        connection = _Connection(self, socket, socket.query_params.get("recogniser", "newest"))
        tasks = [
            asyncio.create_task(part)
            for part in (connection.receive(), connection.answer(), _pass_on(answers, socket))
        ]
        connection.on_first = lambda: self._listeners.discard(answers)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except WebSocketDisconnect:
            pass
        except RuntimeError:
            # An answer to a client that has left in the meantime.
            if socket.client_state is not WebSocketState.DISCONNECTED:
                raise
        finally:
            for task in tasks:
                task.cancel()
            self._listeners.discard(answers)
            self._senders -= connection.sends
            if connection.reader is not None:
                self._thread.submit(self.close, connection.reader, connection.version)

    def admit(self) -> bool:
        """Whether one more client may send pictures."""
        if self._senders >= MOST_SENDERS:
            return False
        self._senders += 1
        return True

    def warm_up(self) -> None:
        """Load the networks before the first picture comes."""
        self._thread.submit(lambda: self.close(*self.open("newest")))

    def close(self, reader: Reader, version: tuple[str, float]) -> None:
        """Give a reader back."""
        self._recognisers.close(reader, version)

    async def run(self, function: Any, *arguments: Any) -> Any:
        """Call a function in the thread of the networks."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def open(self, choice: str) -> tuple[Reader, tuple[str, float]]:
        """A reader, and the version of its weights."""
        version = self._recognisers.version(choice)
        return self._recognisers.open(choice), version

    def is_current(self, choice: str, version: tuple[str, float]) -> bool:
        """Whether a choice still means the weights of this version."""
        return self._recognisers.version(choice) == version

    def publish(self, answer: dict[str, Any]) -> None:
        """Keep an answer, and give it to those who listen."""
        self.last = answer
        text = json.dumps(answer)
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)


class _Connection:
    def __init__(self, hub: LiveHub, socket: WebSocket, choice: str) -> None:
        self._hub, self._socket, self._choice = hub, socket, choice
        self._newest: tuple[float, float, bytes] | None = None
        self._came = asyncio.Event()
        self._dropped = 0
        self._last = -math.inf
        self._tally = Tally()
        self.sends = False
        self.on_first: Any = None
        self.reader: Reader | None = None
        self.version = ("", 0.0)

    async def receive(self) -> None:
        """Keep the newest picture; what it replaces is dropped."""
        while True:
            said = await self._socket.receive()
            if said["type"] == "websocket.disconnect":
                return
            message = said.get("bytes") or b""
            if not self.sends:
                if not self._hub.admit():
                    await self._socket.close(1013, "too many clients send pictures")
                    return
                self.sends = True
                self.on_first()
            self._dropped += self._newest is not None
            arrived = perf_counter()
            taken, picture = _parts(message, arrived)
            self._newest = (arrived, taken, picture)
            self._came.set()

    async def answer(self) -> None:
        """Answer the newest picture, again and again."""
        while True:
            await self._came.wait()
            self._came.clear()
            if self._newest is None:
                continue
            (arrived, taken, picture), self._newest = self._newest, None
            try:
                reader = self.reader
                if reader is None or not self._hub.is_current(self._choice, self.version):
                    reader, self.version = await self._hub.run(self._hub.open, self._choice)
                    self.reader = reader
                    await self._socket.send_text(json.dumps(hello(reader)))
                answer = await self._hub.run(self._read, reader, arrived, taken, picture)
            except PoseActError as error:
                await self._socket.send_text(json.dumps({"type": "error", "message": str(error)}))
                continue
            await self._socket.send_text(json.dumps(answer))
            self._hub.publish(answer)

    def _read(self, reader: Reader, arrived: float, taken: float, picture: bytes) -> dict[str, Any]:
        if not picture.startswith(_JPEG) or len(picture) > MOST_PICTURE_BYTES:
            raise PoseActError("A message was no JPEG of at most 4 MB; send one picture in each.")
        image = decode_image(picture, "picture")
        # A stream wants times that rise; the clock of a page may be set back.
        time = max(taken, self._last + 1e-3)
        self._last = time
        people = reader.push(image, time)
        self._tally.add(time, people)
        return {
            "type": "answer",
            "time": taken,
            "size": [image.shape[1], image.shape[0]],
            "people": [as_json(seen) for seen in people],
            "counts": self._tally.counts,
            "dropped": self._dropped,
            "latency_ms": round(1000 * (perf_counter() - arrived), 1),
        }


def _parts(message: bytes, now: float) -> tuple[float, bytes]:
    """Time and picture of a message; the current time if it has none."""
    if message.startswith(_JPEG) or len(message) < _TIME.size:
        return now, message
    (taken,) = _TIME.unpack_from(message)
    return (taken if math.isfinite(taken) else now), message[_TIME.size :]


async def _pass_on(answers: asyncio.Queue[str], socket: WebSocket) -> None:
    while True:
        await socket.send_text(await answers.get())
