"""An update recorded once on a GPU, as a CUDA graph, and replayed: one launch in place of hundreds.

Small networks leave a GPU idle between launches: the update of a batch of 128 is hundreds of
kernels of a few microseconds each. A recording holds their addresses, so whatever it reads lies in
one place: batches and latents are copied there before each replay. It is tried before it is
trusted, and where it cannot be made or leads elsewhere, updates are made one launch after another.
"""

import gc
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

WARM_UP = 3
"""Plain updates before a recording is made: libraries choose their methods in them, and Adam makes
its state."""

ERROR = 0.1
"""How far a replay may lead from where the plain update leads, as a share of the way that values
and weights have gone. Sums in another order come to less than a hundredth."""


class UpdateInputs(NamedTuple):
    """What one update is given, on the device.

    Attributes:
        z: latents, [N, z_dim].
        real: images for D, [N, C, S, S] in [−1, 1]; None where only G is updated.
        alpha: where between real and generated images the gradient penalty asks, [N, 1, 1, 1] in
            [0, 1]; None where the loss has none.
    """

    z: Tensor
    real: Tensor | None = None
    alpha: Tensor | None = None


Update = Callable[[Iterable[UpdateInputs]], Tensor]
"""Makes a step of what it is given; returns its values, and never waits for the device."""


def not_recorded(fault: str) -> str:
    """What to say where a fault speaks against recording."""
    return f"steps are not recorded on this GPU: {fault}; slower"


class Recorder(Protocol):
    """What records launches."""

    def on_capture_stream(self, work: Callable[[], Tensor]) -> Tensor:
        """The result of `work`, done as it must be before it can be recorded."""
        ...

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Record the launches of `work`, which does nothing yet; gives what replays them."""
        ...


class CudaRecorder:
    """Records by CUDA graphs, on a stream of its own as they ask for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def on_capture_stream(self, work: Callable[[], Tensor]) -> Tensor:
        """As Recorder.aside: autograd remembers the stream that it first saw a weight on."""
        with torch.cuda.device(self.device):
            present = torch.cuda.current_stream()
            self.stream.wait_stream(present)
            with torch.cuda.stream(self.stream):
                result = work()
            present.wait_stream(self.stream)
            return result.clone()  # what is used here is of this stream's memory

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """As Recorder.record. Raises RuntimeError where something in `work` cannot be recorded."""
        gc.collect()  # a graph that is freed meanwhile would spoil this one
        # PyTorch before 2.12 stays on the recording stream where recording fails: the second line
        # goes back. The thread that prepares batches pins memory meanwhile, hence thread_local.
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


class RecordedUpdate:
    """`update` by a recording, once WARM_UP plain ones were made.

    `state` gives every tensor that an update changes, always the same ones in the same order.

    Attributes:
        fault: why there is no recording, in words; None as long as nothing speaks against one.
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
        """Record anew: the state lies elsewhere now, or a learning rate is another one."""
        self._plain = 0
        self._static_inputs: list[UpdateInputs] = []
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, given: Sequence[UpdateInputs]) -> Tensor:
        """Make a step; its values are a tensor of their own, not waited for."""
        if self._replay is not None:
            return self._replay_with(given, self._replay)
        self._plain += 1
        if self.fault is not None or self._plain <= WARM_UP:
            return self._recorder.on_capture_stream(lambda: self._update(given))
        return self._record_and_verify(given)

    def _record_and_verify(self, given: Sequence[UpdateInputs]) -> Tensor:
        """Make a step both ways from one state; the recording is kept if they agree."""
        before = self._snapshot()
        expected = self._recorder.on_capture_stream(lambda: self._update(given))
        if not bool(expected.isfinite().all()):
            self.reset()  # training is unhealthy: no time to compare
            return expected
        after = self._snapshot()
        self._restore(before)
        found = expected
        try:
            self._static_inputs = [_copy(each) for each in given]
            self._replay = self._recorder.record(lambda: self._update(self._static_inputs))
            found = self._replay_with(given, self._replay)
            nothing = torch.zeros_like(expected)
            error = _error([found, *self._state()], [expected, *after], [nothing, *before])
            if error > ERROR:
                self.fault = f"the recording's numbers are off by {error:.0%}"
        except RuntimeError as error:
            self.fault = _first_line(error)
        if self.fault is not None:
            self.reset()
            self._restore(after)
        return found if self.fault is None else expected

    def _replay_with(self, given: Sequence[UpdateInputs], replay: Callable[[], Tensor]) -> Tensor:
        for place, each in zip(self._static_inputs, given, strict=True):
            for there, here in zip(place, each, strict=True):
                if there is not None and here is not None:
                    there.copy_(here)
        return replay().clone()

    def _snapshot(self) -> list[Tensor]:
        """Copies of the state that autograd does not know of.

        One that hung on a weight would bring the stream on which it was made into the recording.
        """
        return [tensor.detach().clone() for tensor in self._state()]

    @torch.no_grad()
    def _restore(self, kept: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._state(), kept, strict=True):
            tensor.copy_(value)


def _copy(given: UpdateInputs) -> UpdateInputs:
    z, *others = (None if part is None else part.clone() for part in given)
    assert z is not None
    return UpdateInputs(z, *others)


def _first_line(error: BaseException) -> str:
    """What failed first: CUDA says of what follows only that something failed before."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0]


@torch.no_grad()
def _error(found: Sequence[Tensor], expected: Sequence[Tensor], before: Sequence[Tensor]) -> float:
    """The greatest ‖found − expected‖ ÷ ‖expected − before‖ of any tensor; counters must be equal."""
    errors = []
    for this, that, past in zip(found, expected, before, strict=True):
        off, way = (this - that).float().norm(), (that - past).float().norm()
        counts = this.dim() == 0
        errors.append(torch.where(off == 0, off, torch.inf if counts else off / way))
    return float(torch.stack(errors).nan_to_num(torch.inf, torch.inf).max())
