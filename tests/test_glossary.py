"""The glossary's forbidden words are nowhere, and the checker finds them where they are."""

import pytest
from glossary import found_in_prose, found_in_python, problems


def test_the_tree_speaks_the_glossary() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("def read_pictures(): ...", "pictures"),
        ("class Judge: ...", "judge"),
        ("x = 1  # the contender", "contender"),
        ('print("every colour counts")', "colour"),
        ('print(f"{1} minibatches")', "minibatches"),
        ("def _bury(worker): ...", "bury"),
        ("crew = 4", "crew"),
        ("x = 1  # it leads astray", "astray"),
    ],
)
def test_forbidden_words_are_found_in_names_comments_and_strings(source: str, word: str) -> None:
    assert [found.word for found in found_in_python("dcgan_cli/x.py", source)] == [word]


def test_keys_and_other_words_are_not_found() -> None:
    assert found_in_python("dcgan_cli/x.py", 'data["pictures"] = imaged = depicted') == []


def test_forbidden_words_are_found_in_pages() -> None:
    text = 'An image.\nA picture of it, `data["pictures"]`.'
    assert [(f.line, f.word) for f in found_in_prose("docs/x.md", text)] == [(2, "picture")]
