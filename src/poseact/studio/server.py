"""The server of the studio: from a folder to pages in a browser."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from poseact._utils.errors import PoseActError
from poseact._utils.files import locked
from poseact.studio.api import Api
from poseact.studio.clip_edits import ConflictError
from poseact.studio.core import Studio
from poseact.studio.guard import Guard
from poseact.studio.live_socket import MOST_PICTURE_BYTES
from poseact.studio.phone_link import own_addresses

LOOPBACK = "127.0.0.1"
PORT = 8765
"""Default port."""

_TOKEN_BYTES = 24
# A page has several files and pictures in flight, and a stream of events.
_MOST_CONNECTIONS = 200


def run_studio(
    folder: str | Path = "clips",
    port: int = PORT,
    host: str = LOOPBACK,
    *,
    browser: bool = True,
    skeleton_only: bool = False,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Serve the studio of a folder until the user ends it.

    Args:
        folder: Folder of clips, as ``train-actions`` understands it; made if it is missing.
        port: Port to listen on; 0 picks a free one.
        host: Address to listen on. Addresses other than 127.0.0.1 open the studio to the network;
            every request then needs a random token, which is part of the link.
        browser: Open the page in a browser.
        skeleton_only: Show and store skeletons only, no pictures.
        on_start: Called with the link.

    Raises:
        PoseActError: The folder is open in another studio or cannot be made, or the port is taken.
    """
    folder = Path(folder)
    studio = Studio(folder, skeleton_only=skeleton_only)
    with locked(studio.places.own / "lock") as free, _listening(host, port) as listener:
        if not free:
            raise PoseActError(
                f"The folder {folder} is open in another studio; use that one, or end it."
            )
        port = listener.getsockname()[1]
        hosts = host_names(host, port)
        outside = host != LOOPBACK
        token = secrets.token_urlsafe(_TOKEN_BYTES) if outside else None
        address = next((a for a in own_addresses()), LOOPBACK) if host == "0.0.0.0" else host
        link = f"http://{address}:{port}/" + (f"?token={token}" if token else "")
        app = make_app(studio, hosts, token, link if outside else None)
        if on_start is not None:
            on_start(link)
        if browser:
            threading.Timer(0.5, partial(webbrowser.open, link)).start()
        _serve(app, listener, studio)


def make_app(
    studio: Studio, hosts: frozenset[str], token: str | None = None, link: str | None = None
) -> Starlette:
    """The application of a studio.

    Args:
        studio: What it shows.
        hosts: ``NAME:PORT`` by which it is reached.
        token: What every request needs, if any.
        link: For a phone, if the network may reach it.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        studio.start()
        yield
        studio.end()

    web = files("poseact.studio") / "web"
    pages = StaticFiles(directory=str(web), html=True)
    return Starlette(
        routes=[*Api(studio, link).routes(), Mount("/", pages)],
        middleware=[Middleware(Guard, hosts=hosts, token=token)],
        exception_handlers={
            PoseActError: _tell_error,
            ConflictError: _tell_error,
            HTTPException: _tell_error,
            ClientDisconnect: _tell_nobody,
        },
        lifespan=lifespan,
    )


def host_names(host: str, port: int) -> frozenset[str]:
    """``NAME:PORT`` of all names by which a browser may reach an address."""
    names = {"127.0.0.1", "localhost"}
    if host == "0.0.0.0":
        names |= {*own_addresses(), socket.gethostname().lower()}
    else:
        names.add(host.lower())
    return frozenset(f"{name}:{port}" for name in names)


class _Server(uvicorn.Server):
    """Ends the streams of events at the first signal, which would keep it running."""

    def __init__(self, config: uvicorn.Config, studio: Studio) -> None:
        super().__init__(config)
        self._studio = studio

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._studio.events.end()
        super().handle_exit(sig, frame)


def _serve(app: Starlette, listener: socket.socket, studio: Studio) -> None:
    """Answer requests until a signal comes."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_max_size=MOST_PICTURE_BYTES + 1024,
        ws_per_message_deflate=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=2,
    )
    _Server(config, studio).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise PoseActError(
            f"The studio cannot listen at {host}, port {port} ({error}); give a --port that is "
            "free, and a --host that is an address of this machine."
        ) from error


async def _tell_error(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": str(error)}, 409 if isinstance(error, ConflictError) else 400)


async def _tell_nobody(_: Request, __: Exception) -> Response:
    """The answer to an upload that its page broke off."""
    return Response(status_code=400)
