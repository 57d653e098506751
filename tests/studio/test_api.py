"""What the pages and other programs ask of the studio."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

import poseact
from helpers.networks import action_network
from poseact.clips.folder import find_clips
from poseact.skeleton import PA16
from poseact.studio import api, core
from poseact.studio.core import Studio
from poseact.studio.events import Events
from poseact.studio.intake import keep_upload
from poseact.studio.server import make_app
from poseact.studio.training_job import TrainingJob
from studio.conftest import HOST, ODD, page_of

WEB = files("poseact.studio") / "web"


def _run(coroutine):
    """Run in a thread of its own: tests in a browser keep an event loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def state(client):
    return client.get("/api/state").json()


def test_the_state_counts_the_clips_and_says_what_is_missing(client):
    actions = {action["label"]: action for action in state(client)["actions"]}
    assert (actions["squat"]["clips"], actions["squat"]["wanted"]) == (2, 3)
    assert list(actions)[-1] == "_other"
    assert len({action["colour"] for action in actions.values()}) == 3


def test_actions_are_added_renamed_coloured_and_removed(client, studio):
    assert client.post("/api/actions", json={"name": "Pull-Ups"}).json() == {"label": "pull_ups"}
    assert client.post("/api/actions", json={"name": "pull ups"}).status_code == 409
    client.patch("/api/actions", json={"label": "squat", "name": "knee bend", "colour": "#123456"})
    assert (
        client.patch("/api/actions", json={"label": "jump", "name": "knee bend"}).status_code == 409
    )
    assert client.delete("/api/actions?label=jump").status_code == 409
    assert client.delete("/api/actions?label=pull_ups").status_code == 200
    actions = {action["label"]: action for action in state(client)["actions"]}
    assert set(actions) == {"knee_bend", "jump", "_other"}
    assert actions["knee_bend"]["colour"] == "#123456"
    assert {clip.label for clip in find_clips(studio.edits.folder)} == {"knee_bend", "jump"}


def test_a_video_becomes_a_clip(client, studio, video):
    answer = client.post("/api/videos?label=squat&name=me.mov", content=video)
    assert answer.json() == {"clip": "squat/me.mp4"}
    assert len(find_clips(studio.edits.folder)) == 5
    again = client.post("/api/videos?label=squat&name=me.mov", content=video)
    assert again.json() == {"clip": "squat/me 2.mp4"}


def test_videos_of_one_name_that_come_at_once_are_both_kept(studio, video, monkeypatch):
    def send(content):
        received = studio.incoming()
        received.write_bytes(content)
        return studio.keep(received, "squat", "me", recorded=False)

    others = []

    def keep(received, place):
        if not others:
            others.append(None)
            others[0] = send((studio.edits.folder / "jump" / "c.mp4").read_bytes())
        return keep_upload(received, place)

    monkeypatch.setattr(core, "keep_upload", keep)
    mine = send(video)
    assert {mine.name, others[0].name} == {"squat/me.mp4", "squat/me 2.mp4"}
    assert mine.path.read_bytes() != others[0].path.read_bytes()
    assert len(find_clips(studio.edits.folder)) == 6
    assert list(studio.places.incoming.iterdir()) == []


@pytest.mark.parametrize("name", ODD)
def test_uploads_are_never_trusted_by_name(client, studio, video, name):
    answer = client.post("/api/videos", params={"label": "squat", "name": name}, content=video)
    assert answer.status_code == 201
    (new,) = (c for c in find_clips(studio.edits.folder) if c.name == answer.json()["clip"])
    assert new.path.resolve().parent == studio.edits.folder / "squat"


def test_what_is_no_video_leaves_nothing(client, studio):
    address = "/api/videos?label=squat&name=notes.mp4"
    answer = client.post(address, content=b"<script>alert(1)</script>")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("notes.mp4: The file is not a video")
    assert len(find_clips(studio.edits.folder)) == 4
    assert list(studio.places.incoming.iterdir()) == []


def test_an_upload_that_is_broken_off_leaves_nothing(studio):
    headers = {"host": HOST, "origin": f"http://{HOST}"}
    scope = {
        **{"type": "http", "method": "POST", "path": "/api/videos", "query_string": b"label=squat"},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    part = {"type": "http.request", "body": b"half a video", "more_body": True}
    messages = iter([part, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    async def send(_):
        pass

    _run(make_app(studio, frozenset({HOST}))(scope, receive, send))
    assert next(messages, None) is None
    assert list(studio.places.incoming.iterdir()) == []


def test_an_upload_that_cannot_be_stored_is_one_sentence(client, studio, video):
    shutil.rmtree(studio.places.incoming)
    answer = client.post("/api/videos?label=squat", content=video)
    assert answer.status_code == 400
    assert "could not be stored" in answer.json()["error"]


@pytest.mark.parametrize("stated", [True, False])
def test_uploads_are_limited_in_size(client, studio, video, monkeypatch, stated):
    monkeypatch.setattr(api, "MOST_BYTES", len(video) - 1)
    content = video if stated else iter([video[:100], video[100:]])
    assert client.post("/api/videos?label=squat", content=content).status_code == 413
    assert list(studio.places.incoming.iterdir()) == []


def test_uploads_are_limited_in_number(client, video, monkeypatch):
    monkeypatch.setattr("poseact.studio.clip_edits.MOST_CLIPS", 4)
    answer = client.post("/api/videos?label=squat", content=video)
    assert answer.status_code == 400
    assert "at most 4" in answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/api/report/../../../secret",
        "/api/report/%2e%2e/training.json",
        "/api/report/worst/..%2f..%2fsecret",
        "//etc/passwd",
        "/%00",
    ],
)
def test_no_address_leaves_the_folder(client, studio, path):
    (studio.places.folder.parent / "secret").write_text("secret")
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "file", ["../secret.mp4", "/etc/passwd", "squat/../../secret.mp4", "a\0b", "x" * 300, "🤸"]
)
def test_no_file_outside_the_folder_is_shown_or_cut(client, studio, file):
    (studio.places.folder.parent / "secret.mp4").write_bytes(b"secret")
    assert client.get("/api/video", params={"file": file}).status_code == 409
    assert client.get("/api/thumbnail", params={"clip": file}).status_code == 409
    assert client.post("/api/clips", json={"file": file, "label": "squat"}).status_code == 409
    assert not studio.edits.table.exists()


def test_players_get_ranges(client):
    whole = client.get("/api/video?file=squat/a.mp4").content
    part = client.get("/api/video?file=squat/a.mp4", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        b"[" * 100_000,
        b'{"clip": 1}',
        b'{"clip": "squat/a.mp4", "start": "x"}',
        b'{"clip": "squat/a.mp4", "start": NaN}',
        b'{"clip": "squat/a.mp4", "start": 1e999}',
    ],
)
def test_requests_that_make_no_sense_change_nothing(client, studio, body):
    answer = client.patch("/api/clips", content=body)
    assert answer.status_code in (400, 413)
    assert answer.json()["error"]
    assert not studio.edits.table.exists()


def test_labels_stay_texts(client):
    label = client.post("/api/actions", json={"name": "a<img src=x onerror=alert(1)>"}).json()[
        "label"
    ]
    answer = client.get("/api/state")
    assert label in [action["label"] for action in answer.json()["actions"]]
    assert answer.headers["content-type"] == "application/json"


def test_pages_make_no_markup_of_texts_and_fetch_nothing_from_elsewhere():
    for file in WEB.iterdir():
        text = file.read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=",
            "onclick=",
        ):
            assert word not in text, f"{word} in {file.name}"
        elsewhere = [
            part
            for part in text.split("://")[1:]
            if not part.startswith(("${host}", "www.w3.org/", "127.0.0.1:8765"))
        ]
        assert not elsewhere, file.name


def test_pages_are_short_modules():
    for file in WEB.iterdir():
        assert (
            file.name == "openapi.json" or len(file.read_text(encoding="utf-8").splitlines()) <= 300
        )


def test_pictures_are_not_shown_or_stored_where_skeletons_alone_are_wanted(folder, video):
    client = page_of(Studio(folder, skeleton_only=True))
    assert client.get("/api/video?file=squat/a.mp4").status_code == 403
    assert client.get("/api/report/worst/1.png").status_code == 404
    assert client.post("/api/videos?label=squat", content=video).status_code == 400
    assert len(find_clips(folder)) == 4
    assert list((folder / ".studio" / "incoming").iterdir()) == []


def test_a_file_that_was_being_received_when_the_studio_was_killed_is_removed(studio):
    studio.incoming().write_bytes(b"half a video")
    again = Studio(studio.places.folder)
    assert list(again.places.incoming.iterdir()) == []


def test_a_table_with_a_mistake_is_reported_and_not_changed(client, studio):
    studio.edits.table.write_text("file,start,end,label\nsquat/a.mp4,5,1,squat\n")
    content = studio.edits.table.read_bytes()
    assert "Line 2" in state(client)["problem"]
    assert (
        client.patch("/api/clips", json={"clip": "squat/a.mp4", "part": "test"}).status_code == 400
    )
    assert studio.edits.table.read_bytes() == content


def test_the_documentation_names_every_path(studio, client):
    documented = {
        (path.replace("{file}", "{file:path}"), method.upper())
        for path, methods in client.get("/openapi.json").json()["paths"].items()
        for method in methods
    }
    app = make_app(studio, frozenset({HOST}))
    served = {
        (route.path, method)
        for route in app.routes
        if hasattr(route, "path") and route.path.startswith(("/api", "/stream"))
        for method in (getattr(route, "methods", None) or {"GET"}) - {"HEAD"}
    }
    assert documented == served


def test_every_text_of_a_page_is_in_the_file_of_texts():
    texts = (WEB / "texts.js").read_text(encoding="utf-8")
    known = set(re.findall(r"^  (\w+):", texts, re.MULTILINE))
    used = set()
    for file in WEB.iterdir():
        if file.name.endswith(".js") and file.name != "texts.js":
            used |= set(re.findall(r"\bt\(\"(\w+)\"", file.read_text(encoding="utf-8")))
    assert used <= known, used - known


def test_a_video_is_cut_deleted_and_brought_back(client, studio):
    made = client.post(
        "/api/clips", json={"file": "squat/a.mp4", "label": "jump", "start": 0.1, "end": 0.3}
    )
    assert made.json()["clip"] == "squat/a.mp4 [0.1-0.3 s]"
    for clip in ("squat/a.mp4", made.json()["clip"]):
        assert client.delete("/api/clips", params={"clip": clip}).status_code == 200
    assert client.get("/api/trash").json() == {"files": ["squat/a.mp4"]}
    assert (state(client)["trash"], state(client)["can_undo"]) == (1, True)
    assert client.post("/api/undo").status_code == 200
    assert (studio.places.folder / "squat" / "a.mp4").is_file()
    client.delete("/api/clips", params={"clip": made.json()["clip"]})
    assert client.delete("/api/trash").status_code == 200
    assert client.get("/api/trash").json() == {"files": []}


def test_a_file_that_no_clip_shows_is_discarded(client, studio):
    client.patch("/api/clips", json={"clip": "squat/a.mp4", "part": "test"})
    shutil.copy(studio.places.folder / "squat" / "a.mp4", studio.places.folder / "new.mp4")
    assert state(client)["unlisted"] == [{"file": "new.mp4", "label": ""}]
    client.delete("/api/files", params={"file": "new.mp4"})
    assert state(client)["unlisted"] == []
    assert client.get("/api/trash").json() == {"files": ["new.mp4"]}


def test_a_training_is_started_watched_and_cancelled(client, studio):
    waits = "import json, sys; sys.stdin.read(); print(json.dumps({'state': 'cancelled'}))"
    command = (sys.executable, "-c", waits)
    studio.training = TrainingJob(studio.places, lambda: None, command=command)
    assert client.get("/api/training").json()["state"] == "none"
    asked = {"epochs": 2, "seed": 1, "unknown setting": 1}
    assert client.post("/api/training", json=asked).status_code == 202
    found = client.get("/api/training").json()
    assert (found["state"], found["plan"], found["scores"]) == (
        *("running", {"epochs": 2, "seed": 1}, None),
    )
    assert client.delete("/api/training").status_code == 202
    while (found := client.get("/api/training").json())["state"] == "running":
        pass
    assert found["state"] == "cancelled"


def test_the_report_is_served_without_pictures_where_none_are_wanted(folder):
    for skeleton_only, plan, status in (
        *((False, {}, 200), (True, {}, 404)),
        (True, {"pictures": False}, 200),
    ):
        studio = Studio(folder, skeleton_only=skeleton_only)
        (studio.places.training / "worst").mkdir(parents=True, exist_ok=True)
        for name in ("report.html", "worst/1.png", "confusion.png"):
            (studio.places.training / name).write_bytes(b"x")
        studio.training.progress.plan = plan
        client = page_of(studio)
        assert client.get("/api/report/report.html").status_code == status
        assert client.get("/api/report/worst/1.png").status_code == status
        assert client.get("/api/report/confusion.png").status_code == 200


def test_weights_and_thumbnails_are_served_once_they_are_there(client, studio):
    assert client.get("/api/weights").status_code == 400
    assert client.get("/api/bundle").status_code == 404
    poseact.save(action_network(("sit", "stand")), studio.places.trained)
    weights = client.get("/api/weights")
    assert weights.content == studio.places.trained.read_bytes()
    assert "actions.safetensors" in weights.headers["content-disposition"]
    assert client.get("/api/thumbnail?clip=squat/a.mp4").status_code == 404
    clip = studio.edits.find("squat/a.mp4")
    studio.places.looks.mkdir()
    studio.examiner.thumbnail(clip).write_bytes(b"picture")
    assert client.get("/api/thumbnail?clip=squat/a.mp4").content == b"picture"


def test_a_phone_gets_a_link_where_the_network_may_reach_the_studio(client, studio):
    assert client.get("/api/phone").json() == {"link": None}
    assert client.get("/api/phone.svg").status_code == 404
    link = f"http://{HOST}/?token=secret"
    outside = page_of(studio, link=link)
    assert outside.get("/api/phone").json() == {"link": link}
    assert outside.get("/api/phone.svg").content.startswith(b"<?xml")


def test_pages_hear_once_of_news_that_they_have_not_fetched_yet():
    async def heard():
        events = Events()
        events.start()
        stream = events.stream()
        hello = await anext(stream)
        for kind in ("clips", "training", "clips"):
            events.tell(kind)
        news = [await anext(stream), await anext(stream)]
        events.end()
        return [hello, *news, *[one async for one in stream]]

    hello, *news = _run(heard())
    assert hello.startswith(":")
    assert news == ["event: clips\ndata: 1\n\n", "event: training\ndata: 1\n\n"]


@pytest.mark.slow
def test_the_bundle_is_what_export_writes(client, studio):
    answer = client.post("/api/bundle")
    assert answer.status_code == 400
    assert "train first" in answer.json()["error"]
    # Of the pose alone: the graphs of actions take several times as long to convert.
    poseact.save(action_network(()), studio.places.trained)
    assert client.post("/api/bundle").status_code == 201
    with ZipFile(BytesIO(client.get("/api/bundle").content)) as archive:
        names = {Path(name).name for name in archive.namelist()}
        card = json.loads(archive.read("recogniser/card.json"))
    assert names == {"card.json", "pose.onnx", "run.py", "README.md"}
    assert card["skeleton"]["joints"] == list(PA16.joints)
