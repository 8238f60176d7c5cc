"""Two methods over the same seeds."""

from dataclasses import dataclass
from typing import Any, Optional, Tuple

from fairprune import _native
from fairprune._arrays import floats


@dataclass(frozen=True)
class Comparison:
    """The paired difference of a metric, method less baseline.

    Attributes:
        mean: mean difference.
        sd: standard deviation of the differences; None for one seed.
        interval: 95 % interval of the mean, by Student's t; None for one seed.
        seeds: number of pairs.
        verdict: ``improved``, ``worsened`` or ``not decided``, of a metric of which more is better. Fewer than
            three seeds decide nothing, and neither do differences that are all the same.
    """

    mean: float
    sd: Optional[float]
    interval: Optional[Tuple[float, float]]
    seeds: int
    verdict: str

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.mean:+.4f} over one seed: {self.verdict}"
        low, high = self.interval
        return f"{self.mean:+.4f} [{low:+.4f}, {high:+.4f}] over {self.seeds} seeds: {self.verdict}"


def compare(method: Any, baseline: Any) -> Comparison:
    """Compares a metric of two methods seed by seed.

    Args:
        method: one value a seed, such as the worst class's recall.
        baseline: the other method's, of the same seeds in the same order.

    Raises:
        ValueError: lists of other lengths, no pair, or a value that is not finite.
    """
    told = _native.paired_difference(floats("method", method).tolist(), floats("baseline", baseline).tolist())
    return Comparison(**told)
