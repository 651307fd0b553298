"""Parsing arithmetic expressions such as `A - B + C`. Must not import torch."""

from typing import Literal

from dcgan_cli.errors import UsageError

Role = Literal["pos", "neg", "add"]
_SIGNS = {"+": 1, "-": -1, "−": -1}


def parse_expression(text: str) -> list[tuple[Role, str]]:
    """`A - B + C` as roles and names: a term that is added after a subtraction is the base.

    Example: `parse_expression("smiling_woman - neutral_woman + neutral_man")`.

    Raises UsageError.
    """
    parts = text.split()
    if parts and parts[0] not in _SIGNS:
        parts.insert(0, "+")
    signs, names = parts[::2], parts[1::2]
    if not names or len(signs) != len(names) or not all(sign in _SIGNS for sign in signs):
        raise UsageError(
            f"--expr {text!r}: expected names with + or - between them, spaces around: "
            '"smiling_woman - neutral_woman + neutral_man"'
        )
    roles: list[tuple[Role, str]] = []
    for sign, name in zip(signs, names, strict=True):
        after = any(role == "neg" for role, _ in roles)
        roles.append(("neg" if _SIGNS[sign] < 0 else "add" if after else "pos", name))
    return roles
