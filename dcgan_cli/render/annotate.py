"""The annotation page: samples on which a person draws boxes around an object (paper §6.3.1)."""

import base64
import json
import re
from importlib.resources import files

from dcgan_cli.render.png import encode_image
from dcgan_cli.report import Images

_PARTS = files("dcgan_cli.render") / "annotation_page"
_STYLE = re.compile(r'<link rel="stylesheet" href="([a-z]+\.css)">')
_SCRIPT = re.compile(r'<script src="([a-z]+\.js)"></script>')
_DATA = '<script id="data" type="application/json">null</script>'


def annotation_page(
    images: Images,
    *,
    checkpoint: str,
    seed: int,
    bn: str,
    average: bool,
    kind: str,
    boxes: bytes | None = None,
) -> bytes:
    """One HTML file that needs nothing else, neither a server nor the network.

    `images` are samples 0 … N − 1, uint8 [N, H, W, C]; what the page saves says what drew them:
    `checkpoint` (its hash), `seed`, `bn` and `average`. Boxes are drawn around a `kind` of object,
    which may be empty, and which the person may change. The page begins with `boxes`, in the form
    that it saves (data.box_files.write_boxes).
    """
    count, height, width, _ = images.shape
    encoded = (base64.b64encode(encode_image(image)) for image in images)
    samples = {"checkpoint": checkpoint, "seed": seed, "count": count, "bn": bn, "average": average}
    data = {
        "samples": json.dumps(samples),
        "kind": kind,
        "size": [width, height],
        "pictures": [f"data:image/png;base64,{png.decode()}" for png in encoded],
        "boxes": None if boxes is None else boxes.decode(),
    }
    # nothing in the JSON may end or comment the script element that it stands in
    script = json.dumps(data).replace("<", "\\u003c")
    page = _part("page.html")
    page = _STYLE.sub(lambda match: f"<style>\n{_part(match[1])}</style>", page)
    page = _SCRIPT.sub(lambda match: f"<script>\n{_part(match[1])}</script>", page)
    return page.replace(_DATA, _DATA.replace("null", script)).encode()


def _part(name: str) -> str:
    return (_PARTS / name).read_text("utf-8")
