"""Safe reading of untrusted pickles: only plain values are made, no code runs, memory is bounded.

Python's unpickler believes what a few bytes claim: a memo index, the length of a byte array or a
call can allocate gigabytes, and a key that contains itself many times is hashed for hours. So the
operations (described in pickletools.py) are interpreted here. Each creates one small object, no
larger than its own bytes, or refers to an existing one. A callable that the pickle names is never
called: a stand-in that the caller provides is called instead.
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

MAX_OPERATIONS = 2_000_000
"""CIFAR-100 has 300,000 operations; a checkpoint has twenty for every tensor."""

StandIns = Mapping[tuple[str, str], Callable[..., object]]
"""What is called instead of `module.name`, by (module, name)."""


class PickleError(ValueError):
    """A pickle that is damaged, or contains more than plain values; the message is one line."""


class ForbiddenError(PickleError):
    """A pickle that would run code, or create objects of types that are not read."""


_MARK = object()
"""Marks on the stack where a list, tuple or dictionary of unknown length begins."""

_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict[Any, Any], "EMPTY_LIST": list[Any], "EMPTY_TUPLE": tuple[()]}
_VALUES = (
    "INT LONG BININT BININT1 BININT2 LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8"
)
_PLAIN = frozenset(_VALUES.split())
_BYTES = frozenset(["STRING", "BINSTRING", "SHORT_BINSTRING"])
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])


def read_pickle(
    data: bytes, stand_ins: StandIns, persistent: Callable[[object], object] | None = None
) -> object:
    """The value in a pickle of protocol 0 to 5; byte strings of Python 2 become bytes.

    Args:
        data: the pickle.
        stand_ins: called in place of the callables that the pickle names; a returned value with a
            `__setstate__` method is given the state from the pickle.
        persistent: returns the object for a persistent id, which the pickle stores elsewhere.

    Raises:
        ForbiddenError: it names any other callable. Nothing of it was called.
        PickleError: it is damaged, or too long.
    """
    try:
        return _Machine(stand_ins, persistent).run(data)
    except PickleError:
        raise
    except Exception as error:  # a malformed number, an empty stack, an error of a stand-in
        raise PickleError(f"damaged: {' '.join(str(error).split())[:100]}") from error


class _Machine:
    """The interpreter of one pickle: its stack and its memo."""

    def __init__(self, stand_ins: StandIns, persistent: Callable[[object], object] | None) -> None:
        self._stand_ins = stand_ins
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> object:
        for number, (operation, argument, at) in enumerate(pickletools.genops(io.BytesIO(data))):
            if number >= MAX_OPERATIONS:
                raise PickleError(f"more than {MAX_OPERATIONS:,} operations")
            if operation.name == "STOP":
                return self._stack.pop()
            self._execute(operation.name, argument, at or 0)
        raise PickleError("cut short")

    def _execute(self, name: str, argument: Any, at: int) -> None:
        stack = self._stack
        if name in _PLAIN:
            stack.append(argument)
        elif name in _PUTS:
            self._memo[argument] = stack[-1]
        elif name in _GETS:
            stack.append(self._memo[argument])
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in _BYTES:  # pickletools reads them as Latin-1
            stack.append(argument.encode("latin-1"))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("TUPLE", "LIST", "DICT"):
            make = {"TUPLE": tuple, "LIST": list, "DICT": lambda pairs: _set({}, pairs)}[name]
            stack.append(make(self._pop_to_mark()))
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("APPEND", "APPENDS"):
            values = self._pop_to_mark() if name == "APPENDS" else [stack.pop()]
            _checked(stack[-1], list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            pairs = self._pop_to_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _set(_checked(stack[-1], dict), pairs)
        elif name == "GLOBAL":
            stack.append(self._stand_in(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            named = stack.pop()
            stack.append(self._stand_in(stack.pop(), named))
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

    def _stand_in(self, module: object, name: object) -> "_StandIn":
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleError("a name that is no text")
        make = self._stand_ins.get((module, name))
        if make is None:
            raise ForbiddenError(f"it asks for {module[:60]}.{name[:60]}")
        return _StandIn(name, make)

    def _pop_to_mark(self) -> list[Any]:
        """Pop everything that was pushed since the last mark."""
        stack = self._stack
        place = len(stack) - 1
        while stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise PickleError("an end without a beginning")
        values = stack[place + 1 :]
        del stack[place:]
        return values


@dataclass(frozen=True)
class _StandIn:
    """A callable on the stack; only the operations of the pickle may call it."""

    name: str
    make: Callable[..., object]


def _set(target: dict[Any, Any], pairs: list[Any]) -> dict[Any, Any]:
    """Store alternating keys and values in `target`; only plain keys are hashed."""
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | bytes | int):
            raise ForbiddenError(f"a key of a dictionary that is a {type(key).__name__}")
        target[key] = value
    return target


def _checked(value: object, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise PickleError(f"a {type(value).__name__} where a {kind.__name__} should be")
    return cast("Any", value)
