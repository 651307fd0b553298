"""What a person calls the classes of a yes-or-no column: `--name male=man/woman`."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dcgan_cli.analysis.concepts.concept_search import default_requests, parse_request
from dcgan_cli.analysis.concepts.words import parse_names
from dcgan_cli.errors import UsageError


def classifier(**attributes: tuple[str, ...]) -> Any:
    known = {
        name: SimpleNamespace(name=name, classes=classes) for name, classes in attributes.items()
    }
    return cast(Any, SimpleNamespace(attributes=known))


FACES = classifier(
    male=("male", "not_male"), smile=("not_smile", "smile"), hair=("red", "black", "gray"), turn=()
)


def test_without_names_columns_speak_for_themselves() -> None:
    names = {request.name for request in default_requests(FACES, parse_names((), FACES))}
    assert {"male", "not_male", "smile_male", "not_smile_not_male", "turn_low"} <= names


def test_named_classes_make_the_names_that_a_person_types() -> None:
    names = parse_names(("male=man/woman", "smile=smiling/neutral"), FACES)
    requests = {request.name: request.meaning for request in default_requests(FACES, names)}
    assert requests["smiling_woman"] == {"male": "not_male", "smile": "smile"}
    assert requests["neutral_man"] == {"male": "male", "smile": "not_smile"}
    assert requests["woman"] == {"male": "not_male"}
    assert requests["red_woman"] == {"male": "not_male", "hair": "red"}
    assert not any("male" in name or "smile" in name.split("_") for name in requests)


def test_both_words_may_be_asked_for() -> None:
    names = parse_names(("male=man/woman",), FACES)
    for text in ("w=woman & smile", "w=not_male & smile"):
        assert parse_request(text, FACES, names).meaning == {"male": "not_male", "smile": "smile"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("male", "expected COLUMN=WORD/WORD"),
        ("male=man", "expected COLUMN=WORD/WORD"),
        ("male=man/", "expected COLUMN=WORD/WORD"),
        ("male=man/man", "expected COLUMN=WORD/WORD"),
        ("male=a/b/c", "expected COLUMN=WORD/WORD"),
        ("mail=man/woman", "no such attribute"),
        ("hair=red/black", "red, black, gray"),
        ("turn=left/right", "it holds numbers"),
    ],
)
def test_names_that_cannot_be(text: str, said: str) -> None:
    with pytest.raises(UsageError, match="--name") as caught:
        parse_names((text,), FACES)
    assert said in str(caught.value)
