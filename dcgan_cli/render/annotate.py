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

    Args:
        images: samples 0 … N − 1, uint8 [N, H, W, C].
        checkpoint: hash of the model that drew them; what the page saves says so, like the rest.
        seed: of the samples.
        bn: batch-norm statistics they were drawn with.
        average: whether the average of the weights drew them.
        kind: what boxes are drawn around; may be empty, and the person may change it.
        boxes: what the page begins with, in the form that it saves (data.box_files.write_boxes).
    """
    count, height, width, _ = images.shape
    samples = {"checkpoint": checkpoint, "seed": seed, "count": count, "bn": bn, "average": average}
    data = {
        "samples": json.dumps(samples),
        "kind": kind,
        "size": [width, height],
        "pictures": [_data_uri(encode_image(image)) for image in images],
        "boxes": None if boxes is None else boxes.decode(),
    }
    page = _part("page.html")
    page = _STYLE.sub(lambda match: f"<style>\n{_part(match[1])}</style>", page)
    page = _SCRIPT.sub(lambda match: f"<script>\n{_part(match[1])}</script>", page)
    return page.replace(_DATA, _DATA.replace("null", _script_json(data))).encode()


def _part(name: str) -> str:
    return (_PARTS / name).read_text("utf-8")


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _script_json(value: object) -> str:
    """JSON that can stand inside a script element: nothing in it ends or comments the element."""
    return json.dumps(value).replace("<", "\\u003c")
