"""Recording an update as a CUDA graph and replaying it: one launch instead of hundreds.

Small networks leave a GPU idle between launches: the update of a batch of 128 consists of hundreds
of kernels of a few microseconds each. A recorded graph holds memory addresses, so its inputs must
stay in one place: batches and latent vectors are copied there before each replay. A recording is
verified before it is used; if it cannot be made or gives other results, kernels are launched one by
one.
"""

import gc
import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

WARM_UP = 3
"""Plain updates before a recording is made: libraries choose their algorithms in them, and Adam
creates its state."""

MAX_REPLAY_ERROR = 0.1
"""How far a replay may differ from the plain update, relative to the change that the update makes.
Sums in another order differ by less than a hundredth."""


class UpdateInputs(NamedTuple):
    """The inputs of one update, on the device.

    Attributes:
        z: latent vectors, [N, z_dim].
        real: images for D, [N, C, S, S] in [−1, 1]; None if only G is updated.
        alpha: interpolation weights between real and generated images for the gradient penalty, [N,
            1, 1, 1] in [0, 1]; None if the loss has no penalty.
        augment: random numbers in [0, 1) for the augmentation of real images, of generated ones in
            D's update, and of those in G's, [3, N, augment.DRAWS]; None without augmentation.
        lazy_weight: factor of the penalties of D's gradient in this update, []; None without them.
    """

    z: Tensor
    real: Tensor | None = None
    alpha: Tensor | None = None
    augment: Tensor | None = None
    lazy_weight: Tensor | None = None


Update = Callable[[Iterable[UpdateInputs]], Tensor]
"""Makes a step from its inputs; returns its metrics, and never waits for the device."""


def recording_failed_message(fault: str) -> str:
    """The message that says why steps are not recorded."""
    return f"steps are not recorded on this GPU: {fault}; slower"


class Recorder(Protocol):
    """Records kernel launches."""

    def on_capture_stream(self, work: Callable[[], Tensor]) -> Tensor:
        """The result of `work`, run on the stream that is recorded later."""
        ...

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Record the launches of `work` without running them; returns a replay function."""
        ...


class CudaRecorder:
    """Records CUDA graphs, on a stream of its own, as they require."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def on_capture_stream(self, work: Callable[[], Tensor]) -> Tensor:
        """As Recorder.on_capture_stream: autograd remembers the stream on which it first saw a weight."""
        with torch.cuda.device(self.device):
            current = torch.cuda.current_stream()
            self.stream.wait_stream(current)
            with torch.cuda.stream(self.stream):
                result = work()
            current.wait_stream(self.stream)
            return result.clone()  # a copy in the memory of the current stream

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """As Recorder.record. Raises RuntimeError if something in `work` cannot be recorded."""
        gc.collect()  # a graph that is freed during recording would invalidate it
        # PyTorch before 2.12 stays on the recording stream if recording fails: the outer stream context
        # restores it. A thread pins memory for batches at the same time, hence thread_local.
        with (
            torch.cuda.device(self.device),
            torch.cuda.stream(torch.cuda.current_stream(self.device)),
        ):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                result = work()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay


@dataclass
class _Recording:
    """One kind of step: how often it was made plainly, and its recording if there is one."""

    warm_up_steps: int = 0
    static_inputs: list[UpdateInputs] = field(default_factory=list[UpdateInputs])
    replay: Callable[[], Tensor] | None = None


class RecordedUpdate:
    """`update` by replaying a recording, after WARM_UP plain updates.

    Steps that have other inputs, such as those with a lazy penalty, have a recording of their own.

    `state` returns every tensor that an update changes, always in the same order.

    Attributes:
        fault: why updates are not recorded, in words; None if there is no reason.
    """

    def __init__(
        self, update: Update, state: Callable[[], Iterable[Tensor]], recorder: Recorder
    ) -> None:
        self.fault: str | None = None
        self._update = update
        self._state = state
        self._recorder = recorder
        self.reset()

    def reset(self) -> None:
        """Discard the recording: the state has moved in memory, or a learning rate has changed."""
        self._recordings: defaultdict[Hashable, _Recording] = defaultdict(_Recording)

    @property
    def is_replaying(self) -> bool:
        """Whether any kind of step is replayed by now."""
        return any(recording.replay is not None for recording in self._recordings.values())

    def __call__(self, given: Sequence[UpdateInputs]) -> Tensor:
        """Make a step; returns its metrics as a new tensor, without waiting for the device."""
        kind = tuple(part is None for each in given for part in each)
        recording = self._recordings[kind]
        if recording.replay is not None:
            return _replay(recording, given)
        recording.warm_up_steps += 1
        if self.fault is not None or recording.warm_up_steps <= WARM_UP:
            return self._recorder.on_capture_stream(lambda: self._update(given))
        return self._record_and_verify(recording, given)

    def _record_and_verify(self, recording: _Recording, given: Sequence[UpdateInputs]) -> Tensor:
        """Make a step both ways from the same state; the recording is kept if they agree."""
        before = self._snapshot()
        expected = self._recorder.on_capture_stream(lambda: self._update(given))
        if not bool(expected.isfinite().all()):
            self.reset()  # values that are not finite cannot be compared
            return expected
        after = self._snapshot()
        self._restore(before)
        found = expected
        try:
            copies = [[None if part is None else part.clone() for part in each] for each in given]
            static = recording.static_inputs = list(itertools.starmap(UpdateInputs, copies))
            recording.replay = self._recorder.record(lambda: self._update(static))
            found = _replay(recording, given)
            nothing = torch.zeros_like(expected)
            error = _error([found, *self._state()], [expected, *after], [nothing, *before])
            if error > MAX_REPLAY_ERROR:
                self.fault = f"the recording's numbers are off by {error:.0%}"
        except RuntimeError as error:
            self.fault = _first_line(error)
        if self.fault is not None:
            self.reset()
            self._restore(after)
        return found if self.fault is None else expected

    def _snapshot(self) -> list[Tensor]:
        """Copies of the state, detached: autograd would bring their stream into the recording."""
        return [tensor.detach().clone() for tensor in self._state()]

    @torch.no_grad()
    def _restore(self, kept: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._state(), kept, strict=True):
            tensor.copy_(value)


def _replay(recording: _Recording, given: Sequence[UpdateInputs]) -> Tensor:
    """The metrics of a step with inputs `given`, replayed."""
    for targets, sources in zip(recording.static_inputs, given, strict=True):
        for target, source in zip(targets, sources, strict=True):
            if target is not None and source is not None:
                target.copy_(source)
    assert recording.replay is not None
    return recording.replay().clone()


def _first_line(error: BaseException) -> str:
    """The first of a chain of errors: CUDA reports the later ones without their cause."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0]


@torch.no_grad()
def _error(found: Sequence[Tensor], expected: Sequence[Tensor], before: Sequence[Tensor]) -> float:
    """The largest ‖found − expected‖ ÷ ‖expected − before‖ of any tensor; counters must be equal."""
    errors = []
    for value, target, old in zip(found, expected, before, strict=True):
        difference, change = (value - target).float().norm(), (target - old).float().norm()
        is_counter = value.dim() == 0
        relative = torch.inf if is_counter else difference / change
        errors.append(torch.where(difference == 0, difference, relative))
    return float(torch.stack(errors).nan_to_num(torch.inf, torch.inf).max())
