"""Readable ASCII for what a stream cannot encode: an error handler of Python's codecs."""

import codecs
import unicodedata

ERRORS = "dcgan.readable"
"""The name of the encoding error handler."""

READABLE = {
    "±": "+/-", "×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "→": "->", "←": "<-",
    "↑": "^", "↓": "v", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∇": "grad", "·": "*", "•": "*",
    "‖": "||", "∞": "inf", "√": "sqrt", "°": " deg", "‘": "'", "’": "'", "“": '"', "”": '"',
    "█": "#", "▀": "#", "▄": "#", "✓": "ok", "✗": "no", "α": "alpha", "β": "beta", "γ": "gamma",
    "ε": "epsilon", "λ": "lambda", "μ": "u", "µ": "u", "ρ": "rho", "σ": "sigma", "§": "section ",
    "ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "œ": "oe", "Œ": "OE",
    "£": "GBP", "€": "EUR", "©": "(c)"
}  # fmt: skip


def readable(text: str, encoding: str | None) -> str:
    """`text` with readable ASCII for every character that `encoding` does not have."""
    return text.encode(encoding or "ascii", ERRORS).decode(encoding or "ascii", "replace")


def _replacement(character: str) -> str:
    """ASCII that can be read in place of `character`; its code where there is none."""
    if character in READABLE:
        return READABLE[character]
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        plain = name.removeprefix("BOX DRAWINGS ").replace("LIGHT ", "").replace("HEAVY ", "")
        return {"HORIZONTAL": "-", "VERTICAL": "|"}.get(plain.replace("DOUBLE ", ""), "+")
    decomposed = unicodedata.normalize("NFKD", character)
    plain = "".join(
        READABLE.get(part, part) for part in decomposed if not unicodedata.combining(part)
    )
    if plain.isascii() and plain:
        return plain
    if unicodedata.combining(character):  # an accent of its own, as file names of macOS have them
        return ""
    return character.encode("ascii", "backslashreplace").decode()


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler. Bytes of a file name that were no text are written as they were."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _replacement(character), error.start + 1


codecs.register_error(ERRORS, _replace)
