"""Access control of the studio: the checks of every request before it is handled."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING = frozenset({"GET", "HEAD"})

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text of the page can become markup.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
"""Headers of every answer."""


class Guard:
    """Refuses requests of other sites, of other names for this machine, and without the token.

    Args:
        app: What serves the requests that pass.
        hosts: ``NAME:PORT`` by which the studio is reached.
        token: What every request needs, as the cookie that the first link sets, as
            ``Authorization: Bearer TOKEN`` or as ``?token=TOKEN``; None for none.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], token: str | None) -> None:
        self._app, self._hosts, self._token = app, hosts, token
        port = next(iter(hosts)).rpartition(":")[2]
        # Browsers share cookies between the ports of a machine.
        self._cookie = f"poseact-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                message["headers"] = headers.raw
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None and scope["type"] == "http" and self._is_first_link(scope):
            await self._with_cookie(scope)(scope, receive, send_guarded)
        elif refusal is None:
            await self._app(scope, receive, send_guarded)
        elif scope["type"] == "websocket":
            # Answered with 403 before the connection is made.
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, if a request is refused."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "The studio is not reached by this name."
        changes = scope["type"] == "http" and scope["method"] not in _READING
        origin = headers.get("origin")
        if origin is None:
            # Browsers send it with every change and with every WebSocket.
            if changes:
                return 403, "A change needs the header Origin with the studio's own address."
        elif (changes or scope["type"] == "websocket") and not self._is_own(origin):
            return 403, "Another site's page asked for this."
        if self._token is not None and not self._has_token(scope, headers):
            return 401, "The link lacks its token; use the link that 'poseact studio' printed."
        return None

    def _is_own(self, origin: str) -> bool:
        scheme, _, host = origin.lower().partition("://")
        return scheme == "http" and host in self._hosts

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            cookie = None
        given = (
            dict(_query(scope)).get("token", ""),
            headers.get("authorization", "").removeprefix("Bearer "),
            "" if cookie is None else cookie.value,
        )
        wanted = (self._token or "").encode()
        return any(hmac.compare_digest(text.encode(), wanted) for text in given)

    def _is_first_link(self, scope: Scope) -> bool:
        return self._token is not None and scope["path"] == "/" and "token" in dict(_query(scope))

    def _with_cookie(self, scope: Scope) -> RedirectResponse:
        """Redirect to the same page without the token, to keep it out of the browser's history."""
        rest = [(name, value) for name, value in _query(scope) if name != "token"]
        answer = RedirectResponse("/" + (f"?{urlencode(rest)}" if rest else ""), 303)
        answer.set_cookie(self._cookie, self._token or "", httponly=True, samesite="strict")
        return answer


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"))
