"""Reading a pickle that anybody may have made: plain values come out, nothing runs, nothing grows.

Python's own unpickler takes the word of a few bytes for it: a place in its memo, the length of a
byte array or a call can ask for gigabytes, and a key that holds itself many times is hashed for
hours. So the operations are carried out here, one by one (they are described in pickletools.py).
Every one of them makes one small object or refers to one that is there, and no more bytes than it
has itself; what it is asked to call is not called, but handed to a stand-in that the caller gives.
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, cast

MOST_OPERATIONS = 2_000_000
"""CIFAR-100 takes 300,000; a checkpoint twenty for every tensor."""

StandIns = Mapping[tuple[str, str], Callable[..., object]]
"""What is made where a pickle calls `module.name`: never the thing of that name itself."""


class PickleError(ValueError):
    """A pickle that is damaged, or asks for more than plain values; one line."""


class ForbiddenError(PickleError):
    """A pickle that would run code, or make objects of kinds that are not read."""


class _Mark:
    """Where a list, tuple or dictionary of unknown length begins on the stack."""


_MARK = _Mark()

_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_VALUES = frozenset(
    [
        "INT",
        "LONG",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
    ]
)
_BYTES = frozenset(["STRING", "BINSTRING", "SHORT_BINSTRING"])
_LATER_BYTES = frozenset(["BINBYTES", "SHORT_BINBYTES", "BINBYTES8"])
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])


def read_pickle(
    data: bytes, stand_ins: StandIns, persistent: Callable[[object], object] | None = None
) -> object:
    """The value in a pickle of protocol 0 to 5; byte strings of Python 2 are bytes.

    Args:
        data: the pickle.
        stand_ins: called in the place of what the pickle names; a value with a `__setstate__` is
            given the state that the pickle has for it.
        persistent: makes the value of what is kept outside the pickle, from its identity.

    Raises:
        ForbiddenError: it names anything else. Nothing of it was called.
        PickleError: it is damaged, or too long.
    """
    try:
        return _Machine(stand_ins, persistent).run(data)
    except PickleError:
        raise
    except Exception as error:  # the text of a number, an empty stack, a stand-in's own refusal
        raise PickleError(f"damaged: {' '.join(str(error).split())[:100]}") from error


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, stand_ins: StandIns, persistent: Callable[[object], object] | None) -> None:
        self._stand_ins = stand_ins
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> object:
        for number, (operation, argument, at) in enumerate(pickletools.genops(io.BytesIO(data))):
            if number >= MOST_OPERATIONS:
                raise PickleError(f"more than {MOST_OPERATIONS:,} operations")
            if operation.name == "STOP":
                return self._stack.pop()
            self._do(operation.name, argument, at or 0)
        raise PickleError("cut short")

    def _do(self, name: str, argument: Any, at: int) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _PUTS:
            self._memo[argument] = stack[-1]
        elif name in _GETS:
            stack.append(self._memo[argument])
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in _BYTES:  # pickletools reads them as Latin-1
            stack.append(argument.encode("latin-1"))
        elif name in _LATER_BYTES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("TUPLE", "LIST", "DICT"):
            stack.append(_collected(name, self._to_mark()))
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("APPEND", "APPENDS"):
            values = self._to_mark() if name == "APPENDS" else [stack.pop()]
            _checked(stack[-1], list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            pairs = self._to_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _set(_checked(stack[-1], dict), pairs)
        elif name == "GLOBAL":
            stack.append(self._known(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            named = stack.pop()
            stack.append(self._known(stack.pop(), named))
        elif name == "REDUCE":
            arguments = _checked(stack.pop(), tuple)
            stack.append(_checked(stack.pop(), _StandIn).make(*arguments))
        elif name == "BUILD":
            state = stack.pop()
            stack[-1].__setstate__(state)
        elif name == "BINPERSID" and self._persistent is not None:
            stack.append(self._persistent(stack.pop()))
        elif name == "POP":
            stack.pop()
        elif name not in ("PROTO", "FRAME"):
            raise ForbiddenError(f"the operation {name} at byte {at:,}")

    def _known(self, module: object, name: object) -> "_StandIn":
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleError("a name that is no text")
        make = self._stand_ins.get((module, name))
        if make is None:
            raise ForbiddenError(f"it asks for {module[:60]}.{name[:60]}")
        return _StandIn(name, make)

    def _to_mark(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        stack = self._stack
        place = len(stack) - 1
        while stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise PickleError("an end without a beginning")
        values = stack[place + 1 :]
        del stack[place:]
        return values


class _StandIn:
    """A name on the stack: it can be called, by an operation of the pickle, and nothing else."""

    def __init__(self, name: str, make: Callable[..., object]) -> None:
        self.name = name
        self.make = make


def _collected(name: str, values: list[Any]) -> object:
    if name == "DICT":
        return _set({}, values)
    return tuple(values) if name == "TUPLE" else values


def _set(target: dict[Any, Any], pairs: list[Any]) -> dict[Any, Any]:
    """Put keys and values, one after the other, into `target`; only plain keys are hashed."""
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | bytes | int):
            raise ForbiddenError(f"a key of a dictionary that is a {type(key).__name__}")
        target[key] = value
    return target


def _checked(value: object, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise PickleError(f"a {type(value).__name__} where a {kind.__name__} should be")
    return cast("Any", value)
