"""The link by which a phone on the same network reaches the studio."""

from __future__ import annotations

import io
import socket

import segno


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine in its networks, the one towards other machines first."""
    found: dict[str, None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Chooses a route; nothing is sent.
            probe.connect(("192.0.2.1", 9))
            found[probe.getsockname()[0]] = None
        except OSError:
            pass
    try:
        for *_, address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
            found[str(address[0])] = None
    except OSError:
        pass
    return [address for address in found if not address.startswith("127.")]


def qr_picture(link: str) -> bytes:
    """The QR code of a link, as SVG."""
    picture = io.BytesIO()
    segno.make(link, error="m").save(
        picture, kind="svg", scale=4, border=4, dark="#000", light="#fff"
    )
    return picture.getvalue()
