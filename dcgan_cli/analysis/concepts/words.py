"""The words of an attribute classifier, and conditions made of them: `smiling & woman`."""

import difflib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from dcgan_cli.analysis.concepts.attribute_classifier import AttributeClassifier
from dcgan_cli.errors import UsageError

LOW, HIGH = "low", "high"
"""The classes of a numerical attribute."""


Names = Mapping[str, Mapping[str, str]]
"""What a person calls the classes of an attribute: {"male": {"male": "man", "not_male": "woman"}}."""


def parse_names(texts: Iterable[str], classifier: AttributeClassifier) -> Names:
    """`male=man/woman`, what a yes-or-no attribute is called where it is so and where it is not.

    Raises UsageError.
    """
    names: dict[str, Mapping[str, str]] = {}
    for text in texts:
        attribute, _, said = text.partition("=")
        called = [slug(word) for word in said.split("/")]
        if len(set(called)) != 2 or len(called) != 2 or not all(called):
            raise UsageError(f"--name {text!r}: expected COLUMN=WORD/WORD, such as male=man/woman")
        if attribute not in classifier.attributes:
            raise unknown_attribute("--name", attribute, classifier.attributes)
        classes = classifier.attributes[attribute].classes
        if set(classes) != {attribute, f"not_{attribute}"}:
            raise UsageError(
                f"--name {text!r}: {attribute} is not a column of yes and no; it holds "
                f"{', '.join(classes) or 'numbers'}; type --concept NAME=WORD"
            )
        names[attribute] = {attribute: called[0], f"not_{attribute}": called[1]}
    return names


def words(
    classifier: AttributeClassifier, names: Names = MappingProxyType({})
) -> dict[str, dict[str, str]]:
    """The attribute and class of each word. A word of two attributes is prefixed by their names."""
    found: dict[str, dict[str, str]] = {}
    taken = [word for known in classifier.attributes.values() for word in known.classes]
    for known in classifier.attributes.values():
        for word in known.classes:
            name = word if taken.count(word) == 1 else f"{known.name}_{word}"
            found[slug(called(known.name, word, names) or name)] = {known.name: word}
        if not known.classes:
            for end in (LOW, HIGH):
                found[slug(f"{known.name}_{end}")] = {known.name: end}
    return found


def called(attribute: str, word: str, names: Names) -> str:
    """What a person calls the class `word` of `attribute`; "" if no name was given."""
    return names.get(attribute, {}).get(word, "")


def slug(word: str) -> str:
    """`word` as the name of a concept: No Beard becomes no_beard."""
    return re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")


def parse_meaning(
    option: str, text: str, classifier: AttributeClassifier, names: Names = MappingProxyType({})
) -> dict[str, str]:
    """`smiling & woman` as the class of each attribute. Raises UsageError, naming `option`."""
    known = words(classifier) | words(classifier, names)
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
