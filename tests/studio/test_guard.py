"""Each line of the safety section: who may talk to the studio, and what it serves."""

from __future__ import annotations

import socket

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from poseact import PoseActError
from poseact.studio.guard import HEADERS
from poseact.studio.server import LOOPBACK, host_names, make_app, run_studio
from studio.conftest import HOST, ORIGIN, page_of

STREAM = f"ws://{HOST}/stream"
CHANGES = [
    ("POST", "/api/actions"),
    ("PATCH", "/api/clips"),
    ("DELETE", "/api/clips?clip=squat/a.mp4"),
    ("DELETE", "/api/trash"),
    ("POST", "/api/videos?label=squat"),
    ("POST", "/api/training"),
    ("POST", "/api/undo"),
]
FOREIGN = [
    "evil.example",
    "evil.example:8765",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1:8765.evil.example",
    "",
]


@pytest.fixture
def listened(monkeypatch):
    """The addresses that a studio listens at, which then serves nothing."""
    found = []

    def run(_, sockets):
        found.append(sockets[0].getsockname())

    monkeypatch.setattr("uvicorn.Server.run", run)
    return found


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/app.js", "/api/state", "/api/nothing"])
def test_a_foreign_host_gets_nothing(client, host, path):
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert "squat" not in answer.text


def test_a_foreign_host_gets_no_stream(client):
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(STREAM, headers={"Host": "evil.example"}),
    ):
        pass


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1:8765", "http://127.0.0.1:1", "null", None]
)
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_another_sites_page_changes_nothing(studio, method, path, origin):
    headers = {} if origin is None else {"Origin": origin}
    answer = page_of(studio, headers=headers).request(method, path, content=b"{}")
    assert answer.status_code == 403
    assert not studio.edits.table.exists()
    assert [clip.name for clip in studio.edits.listing().clips] == [
        "jump/c.mp4",
        "jump/d.mp4",
        "squat/a.mp4",
        "squat/b.mp4",
    ]


def test_another_sites_page_gets_no_stream(client):
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(STREAM, headers={"Origin": "http://evil.example"}),
    ):
        pass


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/api/state", "/api/events", "/api/video?file=squat/a.mp4"]
)
def test_without_the_token_nothing_is_served(studio, path):
    client = page_of(studio, token="secret")
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Cookie": "poseact-8765=guess"}):
        assert client.get(path, headers=headers).status_code == 401
    assert client.post("/api/undo").status_code == 401
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM):
        pass


def test_the_first_link_leaves_its_token_in_a_cookie(studio):
    client = page_of(studio, token="secret")
    answer = client.get("/?token=secret", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/api/state").status_code == 200
    with client.websocket_connect(STREAM):
        pass


def test_programs_give_the_token_as_a_header(studio):
    client = page_of(studio, token="secret")
    assert client.get("/api/state", headers={"Authorization": "Bearer secret"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/api/state", "/api/video?file=squat/a.mp4", "/nothing"]
)
def test_every_answer_has_the_strict_headers(client, path):
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy.replace("https", "http")  # no other site


def test_by_default_only_this_computer_is_listened_to(tmp_path, listened):
    said = []
    run_studio(tmp_path, 0, browser=False, on_start=said.append)
    assert listened[0][0] == LOOPBACK
    assert said == [f"http://127.0.0.1:{listened[0][1]}/"]


def test_the_network_gets_a_link_with_a_random_token(tmp_path, listened):
    said = []
    for _ in range(2):
        run_studio(tmp_path, 0, "0.0.0.0", browser=False, on_start=said.append)
    tokens = {link.partition("?token=")[2] for link in said}
    assert len(tokens) == 2
    assert all(len(token) >= 32 for token in tokens)


def test_names_of_other_machines_are_no_hosts():
    assert host_names(LOOPBACK, 1) == {"127.0.0.1:1", "localhost:1"}
    assert "192.168.3.4:1" in host_names("192.168.3.4", 1)
    assert f"{socket.gethostname().lower()}:1" in host_names("0.0.0.0", 1)


def test_a_taken_port_is_one_sentence(tmp_path):
    with (
        socket.create_server((LOOPBACK, 0)) as taken,
        pytest.raises(PoseActError, match="give a --port that is free"),
    ):
        run_studio(tmp_path, taken.getsockname()[1], browser=False)


def test_two_studios_of_one_folder_are_refused(tmp_path, listened, monkeypatch):
    def again(*_, **__):
        run_studio(tmp_path, 0, browser=False)

    monkeypatch.setattr("uvicorn.Server.run", again)
    with pytest.raises(PoseActError, match="open in another studio"):
        run_studio(tmp_path, 0, browser=False)


def test_other_hosts_in_one_header_are_refused(studio):
    app = make_app(studio, frozenset({HOST}))
    client = TestClient(app, base_url=f"http://{HOST}", headers=ORIGIN)
    answer = client.get("/api/state", headers=[("Host", HOST), ("Host", "evil.example")])
    assert answer.status_code == 421
