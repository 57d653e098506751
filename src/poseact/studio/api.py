"""What the pages and other programs ask of the studio over HTTP; all answers are JSON or files."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from poseact._utils.boundary import parse_json
from poseact._utils.errors import PoseActError
from poseact.studio.bundle import make_bundle
from poseact.studio.clip_edits import checked_label
from poseact.studio.core import Studio
from poseact.studio.intake import MOST_BYTES
from poseact.studio.phone_link import qr_picture

_MOST_JSON = 2**16
_PLAIN_FILES = frozenset({"scores.json", "confusion.png", "learning_curve.png"})
_PICTURED_FILES = frozenset({"report.html", *(f"worst/{place}.png" for place in range(1, 7))})

_PLAN = {"epochs": int, "seed": int, "test": float, "curve": bool, "streams": str}
"""Settings of a training that a page may give, with their types."""


class Api:
    """The handlers of one studio.

    Args:
        studio: What they show and change.
        link: Address for a phone on the same network; None without ``--host``.
    """

    def __init__(self, studio: Studio, link: str | None) -> None:
        self._studio, self._link = studio, link
        self._bundling = asyncio.Lock()

    def routes(self) -> list[Route | WebSocketRoute]:
        """Every path of the API."""
        table: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", "/api/state", self.state),
            ("GET", "/api/events", self.events),
            ("POST", "/api/actions", self.add_action),
            ("PATCH", "/api/actions", self.change_action),
            ("DELETE", "/api/actions", self.remove_action),
            ("POST", "/api/videos", self.receive),
            ("POST", "/api/clips", self.add_clip),
            ("PATCH", "/api/clips", self.change_clip),
            ("DELETE", "/api/clips", self.delete_clips),
            ("DELETE", "/api/files", self.discard_file),
            ("POST", "/api/undo", self.undo),
            ("GET", "/api/trash", self.trash),
            ("DELETE", "/api/trash", self.empty_trash),
            ("GET", "/api/thumbnail", self.thumbnail),
            ("GET", "/api/video", self.video),
            ("GET", "/api/training", self.training),
            ("POST", "/api/training", self.start_training),
            ("DELETE", "/api/training", self.cancel_training),
            ("GET", "/api/report/{file:path}", self.report),
            ("GET", "/api/weights", self.weights),
            ("POST", "/api/bundle", self.make_bundle),
            ("GET", "/api/bundle", self.bundle),
            ("GET", "/api/live", self.live),
            ("GET", "/api/phone", self.phone),
            ("GET", "/api/phone.svg", self.phone_picture),
        ]
        routes = [Route(path, run, methods=[method]) for method, path, run in table]
        return [*routes, WebSocketRoute("/stream", self.stream)]

    async def state(self, _: Request) -> Response:
        """The whole folder."""
        return JSONResponse(await run_in_threadpool(self._studio.state))

    async def events(self, _: Request) -> Response:
        """News, as server-sent events."""
        return StreamingResponse(self._studio.events.stream(), media_type="text/event-stream")

    async def add_action(self, request: Request) -> Response:
        """Add an action."""
        name = _text(await _json(request), "name")
        label = self._studio.actions.add(name, self._studio.labels())
        self._studio.events.tell("clips")
        return JSONResponse({"label": label}, 201)

    async def change_action(self, request: Request) -> Response:
        """Rename or recolour an action."""
        studio, asked = self._studio, await _json(request)
        label = _text(asked, "label")
        if "colour" in asked:
            studio.actions.recolour(label, _text(asked, "colour"), studio.labels())
        if "name" in asked:
            new = checked_label(_text(asked, "name"))
            if new != label and new in studio.actions.all(studio.labels()):
                raise HTTPException(409, f"There is an action {new} already.")
            studio.edits.rename(label, new)
            studio.actions.rename(label, new)
            label = new
        studio.changed()
        return JSONResponse({"label": label})

    async def remove_action(self, request: Request) -> Response:
        """Remove an action without clips."""
        label = request.query_params.get("label", "")
        if label in self._studio.labels():
            raise HTTPException(409, f"The action {label} has clips; delete or move them first.")
        self._studio.actions.remove(label)
        self._studio.events.tell("clips")
        return JSONResponse({})

    async def receive(self, request: Request) -> Response:
        """Take a video as the body of the request."""
        query = request.query_params
        checked_label(query.get("label", ""))
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > MOST_BYTES:
            raise HTTPException(413, _too_large())
        received, size = self._studio.incoming(), 0
        try:
            with received.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > MOST_BYTES:
                        raise HTTPException(413, _too_large())
                    await run_in_threadpool(file.write, chunk)
            name = Path(query.get("name", "").replace("\\", "/")).stem
            clip = await run_in_threadpool(
                lambda: self._studio.keep(
                    *(received, query["label"], name or "clip"),
                    recorded=query.get("recorded") == "1",
                )
            )
        except PoseActError as error:
            # The person knows the file by its own name, and has perhaps sent several.
            sentence = str(error).replace(f"file {received}", "file")
            sent = query.get("name") if query.get("recorded") != "1" else None
            raise PoseActError(f"{sent}: {sentence}" if sent else sentence) from error
        except OSError as error:
            raise PoseActError(
                f"The file could not be stored ({error.strerror}); make room on the disk, and look "
                "whether the folder can be written."
            ) from error
        finally:
            received.unlink(missing_ok=True)
        return JSONResponse({"clip": clip.name}, 201)

    async def add_clip(self, request: Request) -> Response:
        """Cut a clip out of a video of the folder."""
        asked = await _json(request)
        file = _text(asked, "file")
        self._studio.edits.own_file(file)
        start, end = _seconds(asked, "start", 0.0), _seconds(asked, "end", math.inf)
        clip = self._studio.edits.add(file, _text(asked, "label"), start, end)
        self._studio.changed()
        return JSONResponse({"clip": clip.name}, 201)

    async def change_clip(self, request: Request) -> Response:
        """Trim or move a clip, or set its part."""
        asked = await _json(request)
        changes: dict[str, Any] = {
            name: _seconds(asked, name, 0.0) for name in ("start", "end") if name in asked
        } | {name: _text(asked, name) for name in ("label", "part") if name in asked}
        clip = self._studio.edits.change(_text(asked, "clip"), **changes)
        self._studio.changed()
        return JSONResponse({"clip": clip.name})

    async def delete_clips(self, request: Request) -> Response:
        """Delete clips."""
        await run_in_threadpool(self._studio.edits.delete, request.query_params.getlist("clip"))
        self._studio.changed()
        return JSONResponse({})

    async def discard_file(self, request: Request) -> Response:
        """Drop a file that no clip shows, or a row whose file is missing."""
        self._studio.edits.discard(request.query_params.get("file", ""))
        self._studio.changed()
        return JSONResponse({})

    async def undo(self, _: Request) -> Response:
        """Take back the last change."""
        self._studio.edits.undo()
        self._studio.changed()
        return JSONResponse({})

    async def trash(self, _: Request) -> Response:
        """The deleted files."""
        return JSONResponse({"files": self._studio.edits.trash()})

    async def empty_trash(self, _: Request) -> Response:
        """Remove them for good."""
        await run_in_threadpool(self._studio.edits.empty_trash)
        self._studio.events.tell("clips")
        return JSONResponse({})

    async def thumbnail(self, request: Request) -> Response:
        """The middle picture of a clip."""
        clip = self._studio.edits.find(request.query_params.get("clip", ""))
        kept = {"Cache-Control": "private, max-age=86400"}
        return _file(self._studio.examiner.thumbnail(clip), headers=kept)

    async def video(self, request: Request) -> Response:
        """A video of the folder."""
        if self._studio.skeleton_only:
            raise HTTPException(403, "With --skeleton-only no pictures are shown.")
        path = self._studio.edits.own_file(request.query_params.get("file", ""))
        kind = "video/webm" if path.suffix == ".webm" else "video/mp4"
        return _file(path, media_type=kind)

    async def training(self, _: Request) -> Response:
        """How far the training is, and the scores of the last one."""
        scores = self._studio.places.training / "scores.json"
        found = parse_json(scores.read_bytes()) if scores.is_file() else None
        return JSONResponse({**asdict(self._studio.training.progress), "scores": found})

    async def start_training(self, request: Request) -> Response:
        """Start the training, or go on with it."""
        asked = await _json(request)
        plan = {name: kind(asked[name]) for name, kind in _PLAN.items() if name in asked}
        await run_in_threadpool(self._studio.training.start, plan)
        return JSONResponse({}, 202)

    async def cancel_training(self, _: Request) -> Response:
        """Stop the training after its step."""
        self._studio.training.cancel()
        return JSONResponse({}, 202)

    async def report(self, request: Request) -> Response:
        """A file of the report."""
        name = request.path_params["file"]
        hidden = self._studio.skeleton_only and self._studio.training.has_pictures
        if name not in (_PLAIN_FILES if hidden else _PLAIN_FILES | _PICTURED_FILES):
            raise HTTPException(404, "There is no such file of the report.")
        headers = {"Content-Disposition": "attachment"} if name.endswith(".html") else {}
        return _file(self._studio.places.training / name, headers=headers)

    async def weights(self, request: Request) -> Response:
        """The weights, as a download."""
        choice = request.query_params.get("recogniser", "newest")
        return _file(self._studio.recognisers.weights(choice), "actions.safetensors")

    async def make_bundle(self, request: Request) -> Response:
        """Make the bundle of a recogniser; answered when it is done."""
        choice = request.query_params.get("recogniser", "newest")
        weights = self._studio.recognisers.weights(choice)
        async with self._bundling:
            await run_in_threadpool(make_bundle, weights, self._studio.places.bundle)
        return JSONResponse({}, 201)

    async def bundle(self, _: Request) -> Response:
        """The bundle, as a download."""
        return _file(self._studio.places.bundle, "recogniser.zip")

    async def live(self, _: Request) -> Response:
        """The last answer of the live page."""
        return JSONResponse({"last": self._studio.hub.last})

    async def phone(self, _: Request) -> Response:
        """The link for a phone."""
        return JSONResponse({"link": self._link})

    async def phone_picture(self, _: Request) -> Response:
        """The same as a QR code."""
        if self._link is None:
            raise HTTPException(404, "The studio is open to this computer alone; give it --host.")
        return Response(qr_picture(self._link), media_type="image/svg+xml")

    async def stream(self, socket: WebSocket) -> None:
        """The live WebSocket."""
        await self._studio.hub.serve(socket)


def _file(path: Path, name: str | None = None, **options: Any) -> Response:
    """A file, with the ranges that players ask for.

    Raises:
        HTTPException: It is not there.
    """
    if not path.is_file():
        raise HTTPException(404, "There is no such file, not yet or not any more.")
    return FileResponse(path, filename=name, **options)


async def _json(request: Request) -> Mapping[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_JSON:
            raise HTTPException(413, "The request is too long.")
    try:
        asked = parse_json(body)
    except ValueError as error:
        raise PoseActError("The body of the request is no JSON; give an object.") from error
    if not isinstance(asked, dict):
        raise PoseActError("The body of the request is no JSON object; give one.")
    return asked


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str):
        raise PoseActError(f"The request gives no text as {name}; give one.")
    return value


def _seconds(asked: Mapping[str, Any], name: str, default: float) -> float:
    value = asked.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PoseActError(f"The request gives {value!r} as {name}; give seconds.")
    return float(value)


def _too_large() -> str:
    return f"The file is too large; at most {MOST_BYTES // 2**30} GB are taken."
