"""The one line that something is refused with, for tests that hold it word for word."""

from collections.abc import Callable
from typing import Protocol

import pytest


class Refusal(Protocol):
    def __call__(self, call: Callable[[], object], kind: type[Exception] = ...) -> str: ...


def refused_as(usual: type[Exception]) -> Refusal:
    """What an error says that `call` must raise: of the kind `usual` where no other is named."""

    def refusal(call: Callable[[], object], kind: type[Exception] = usual) -> str:
        with pytest.raises(kind) as caught:
            call()
        return str(caught.value)

    return refusal
