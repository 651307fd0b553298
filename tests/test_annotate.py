"""The annotation page as a file: whole, safe, and without a word to the outside."""

import base64
import io
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcgan_cli.render.annotate import annotation_page
from dcgan_cli.report import Images


def noise(count: int = 3, height: int = 4, width: int = 6, channels: int = 3) -> Images:
    stream = np.random.default_rng(0)
    return stream.integers(0, 256, (count, height, width, channels), np.uint8)


def make(images: Images | None = None, **changes: Any) -> str:
    given: dict[str, Any] = {
        "checkpoint": "abc",
        "seed": 0,
        "bn": "batch",
        "average": True,
        "kind": "window",
    }
    return annotation_page(noise() if images is None else images, **given | changes).decode()


class Outline(HTMLParser):
    """Tags with their attributes, and the text of each element that has an id, or of a script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._script = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        self._script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._script = self._script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[-1] += data


def data_of(page: str) -> dict[str, Any]:
    return json.loads(Outline(page).scripts[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_every_sample_is_in_the_page_as_it_is(channels: int) -> None:
    images = noise(channels=channels)
    data = data_of(make(images))
    assert data["size"] == [6, 4]
    assert len(data["pictures"]) == 3
    for uri, image in zip(data["pictures"], images, strict=True):
        kind, _, encoded = uri.partition(",")
        assert kind == "data:image/png;base64"
        decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
        assert np.array_equal(decoded.reshape(image.shape), image)


def test_it_says_which_samples_they_are() -> None:
    data = data_of(make(seed=2**64, kind="arch", boxes=b'{"x": "\xe2\x80\x93"}'))
    assert json.loads(data["samples"]) == {
        "checkpoint": "abc",
        "seed": 2**64,
        "count": 3,
        "bn": "batch",
        "average": True,
    }
    assert data["kind"] == "arch"
    assert data["boxes"] == '{"x": "–"}'
    assert data_of(make())["boxes"] is None


def test_nothing_is_fetched() -> None:
    page = make()
    outline = Outline(page)
    assert not re.search(r"https?:|//[a-z0-9-]+\.", page, re.IGNORECASE)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(|WebSocket", page)
    for tag, attributes in outline.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert attributes.keys().isdisjoint(("src", "href", "srcset", "action"))
    policy = next(
        attributes["content"]
        for tag, attributes in outline.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy


HOSTILE = "</script><script>alert(1)</script><!-- <script> ]]> \u2028 & \" ' \\"


@pytest.mark.parametrize("field", ["kind", "checkpoint", "bn"])
def test_what_is_put_in_cannot_get_out_of_its_place(field: str) -> None:
    page = make(**{field: HOSTILE})
    assert "alert(1)</script>" not in page
    assert len(Outline(page).scripts) == len(Outline(make()).scripts)
    data = data_of(page)
    assert HOSTILE in (data["kind"], *json.loads(data["samples"]).values())


def test_every_control_has_a_name_for_those_who_hear_the_page() -> None:
    page = make()
    parsed = Outline(page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for named in re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', page):
        assert named in ids
    for label in re.findall(r"<button[^>]*>(.*?)</button>", page, re.DOTALL):
        assert re.search(r"\w", re.sub(r"<[^>]+>", "", label)) or label in ("?", "×")
    for place in re.findall(r"<button[^>]*>[?×]</button>", page):
        assert "aria-label=" in place
    assert '<html lang="en">' in page


def test_its_parts_travel_in_the_wheel() -> None:
    root = Path(__file__).parents[1]
    with (root / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["dcgan_cli.render"]
    render = root / "dcgan_cli" / "render"
    shipped = {path for pattern in patterns for path in render.glob(pattern)}
    assert {
        path for path in render.rglob("*") if path.suffix in (".html", ".css", ".js")
    } <= shipped
    assert len(shipped) > 1


def test_every_element_that_the_script_asks_for_is_there() -> None:
    page = make()
    ids = {attributes.get("id") for _, attributes in Outline(page).tags}
    asked = set(re.findall(r'\$\("([a-z-]+)"\)', page))
    assert len(asked) > 20
    assert asked <= ids
