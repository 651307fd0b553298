"""The words of an attribute classifier, and conditions made of them: `smiling & woman`."""

import difflib
import re
from collections.abc import Iterable

from dcgan_cli.analysis.concepts.attribute_classifier import AttributeClassifier
from dcgan_cli.errors import UsageError

LOW, HIGH = "low", "high"
"""The classes of a numerical attribute."""


def words(classifier: AttributeClassifier) -> dict[str, dict[str, str]]:
    """The attribute and class of each word. A word of two attributes is prefixed by their names."""
    found: dict[str, dict[str, str]] = {}
    taken = [word for known in classifier.attributes.values() for word in known.classes]
    for known in classifier.attributes.values():
        for word in known.classes:
            name = word if taken.count(word) == 1 else f"{known.name}_{word}"
            found[slug(name)] = {known.name: word}
        if not known.classes:
            for end in (LOW, HIGH):
                found[slug(f"{known.name}_{end}")] = {known.name: end}
    return found


def slug(word: str) -> str:
    """`word` as the name of a concept: No Beard becomes no_beard."""
    return re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")


def parse_meaning(option: str, text: str, classifier: AttributeClassifier) -> dict[str, str]:
    """`smiling & woman` as the class of each attribute. Raises UsageError, naming `option`."""
    known = words(classifier)
    meaning: dict[str, str] = {}
    for word in (part.strip() for part in text.split("&")):
        if word not in known:
            near = difflib.get_close_matches(word, known, n=3) or known
            raise UsageError(
                f"{option} {text!r}: the attribute classifier does not know {word!r}; it knows {', '.join(near)}"
            )
        if not meaning.keys().isdisjoint(known[word]):
            raise UsageError(f"{option} {text!r}: two classes of one attribute; nothing is both")
        meaning |= known[word]
    return meaning


def unknown_attribute(option: str, name: str, known: Iterable[str]) -> UsageError:
    """The error that `option` names an attribute which is not among `known`; what comes near."""
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=3) or listed
    return UsageError(
        f"{option} {name}: no such attribute is classified; there are {', '.join(near)}"
    )
