"""A studio with clips of its own, and pages of it in a browser."""

from __future__ import annotations

import pytest

from studio.in_browser.browser import (
    PATIENCE_S,
    StudioProcess,
    browser_with_camera,
    demo_pictures,
    watched,
    write_camera,
    write_clips,
)


@pytest.fixture(scope="session")
def exercises():
    return demo_pictures()


@pytest.fixture(scope="session")
def browser(tmp_path_factory, exercises):
    camera = write_camera(
        tmp_path_factory.mktemp("camera") / "camera.mjpeg",
        [image for images in exercises for image in images],
    )
    with browser_with_camera(camera) as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory, exercises):
    return write_clips(tmp_path_factory.mktemp("studio") / "clips", exercises)


@pytest.fixture(scope="module")
def studio(folder):
    studio = StudioProcess(folder)
    yield studio
    if studio.process.poll() is None:
        studio.end()


@pytest.fixture
def context(browser):
    context = browser.new_context(permissions=["camera"])
    context.set_default_timeout(1000 * PATIENCE_S)
    yield context
    context.close()


@pytest.fixture
def page(context, studio):
    """A page that must neither fail nor break its own policy."""
    return watched(context.new_page())
