"""What a run remembers of its evaluations: the last epoch that was evaluated, and the best one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from dcgan_cli.report import Estimate


@dataclass
class Evaluations:
    """The last evaluated epoch, and the best one with its step and KID; 0 and None before any."""

    last_epoch: int = 0
    best_epoch: int = 0
    best_step: int = 0
    kid: float | None = None
    kid_low: float | None = None
    kid_high: float | None = None

    def add(self, epoch: int, step: int, kid: Estimate) -> bool:
        """Remember an evaluation. Returns whether it is the best so far."""
        self.last_epoch = epoch
        is_best = self.kid is None or kid.value < self.kid
        if is_best:
            self.best_epoch, self.best_step = epoch, step
            self.kid, self.kid_low, self.kid_high = kid.value, kid.low, kid.high
        return is_best

    @property
    def best(self) -> Estimate | None:
        """The KID of the best epoch; None before any evaluation."""
        return None if self.kid is None else Estimate(self.kid, self.kid_low, self.kid_high)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint; the inverse of `read`."""
        return asdict(self)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote; a checkpoint of an earlier version has nothing."""
        known = cls().to_dict().keys()
        return cls(**{key: value for key, value in values.items() if key in known})
