"""Quotas and subsets."""

from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from fairprune import _native
from fairprune._arrays import class_count, floats, host, integers, matrix, recalls_and_sizes


@dataclass(frozen=True)
class Finding:
    """Something that a user should know before training on a subset.

    Attributes:
        kind: ``smoothed``, ``no-errors``, ``error-ratio``, ``keeps-nothing``, ``doubtful-recall``,
            ``lowers-worst`` or ``few-samples``.
        message: what was found, in a sentence.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Quotas:
    """How many samples each class keeps.

    Attributes:
        counts: int64, K; they add up to the density times all samples, rounded half up.
        densities: float64, K; kept fraction of each class before rounding.
        warnings: findings, most general first.
    """

    counts: np.ndarray
    densities: np.ndarray
    warnings: List[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Forecast:
    """What quotas are predicted to do to the recalls (NaN for classes without validation samples).

    Attributes:
        before: float64, K; as many samples without quotas.
        after: float64, K; under the quotas.
        worst_interval: 95 % interval of the change of the lowest recall.
    """

    before: np.ndarray
    after: np.ndarray
    worst_interval: Tuple[float, float]


@dataclass(frozen=True)
class Subset:
    """The samples that are kept.

    Attributes:
        indices: int64, positions of the kept samples, ascending.
        counts: int64, K; kept samples of each class.
        sizes: int64, K; samples of each class that could be kept.
        densities: float64, K; ``counts / sizes``, 0 for empty classes.
        quota_densities: float64, K; what the rule asked for before rounding; None without quotas.
        order: int64, the kept samples in the order in which a selection method picked them; None else.
        weights: float64, the weight of each pick in training, where the method gives some.
        forecast: what the quotas are predicted to do, where validation rows were given.
        warnings: findings.
    """

    indices: np.ndarray
    counts: np.ndarray
    sizes: np.ndarray
    densities: np.ndarray
    quota_densities: Optional[np.ndarray] = None
    order: Optional[np.ndarray] = None
    weights: Optional[np.ndarray] = None
    forecast: Optional[Forecast] = None
    warnings: List[Finding] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.indices)

    def mask(self, samples: int) -> np.ndarray:
        """One bool for each of ``samples`` samples, True where it is kept.

        Raises:
            ValueError: a kept position is not below ``samples``.
        """
        if len(self.indices) and self.indices[-1] >= samples:
            raise ValueError(f"samples: found {samples}, expected more than {self.indices[-1]}, a kept position")
        mask = np.zeros(samples, dtype=bool)
        mask[self.indices] = True
        return mask


def _findings(pairs: Sequence[Tuple[str, str]]) -> List[Finding]:
    return [Finding(kind, message) for kind, message in pairs]


def quotas(
    sizes: Any,
    recalls: Any = None,
    density: Optional[float] = None,
    rule: str = "metriq",
    *,
    difficulties: Any = None,
    densities: Any = None,
    validation_sizes: Any = None,
    min_per_class: Optional[int] = None,
    laplace: bool = False,
    seed: int = 0,
    class_names: Optional[Sequence[str]] = None,
) -> Quotas:
    """How many samples each class keeps.

    Args:
        sizes: samples of each class, K.
        recalls: validation recall of each class, K, NaN where there is none; what ``metriq`` and
            ``metriq-released`` look at.
        density: kept fraction of all samples, above 0 and at most 1.
        rule: ``metriq`` (density in proportion to the error, as in the paper; also ``drop``),
            ``metriq-released`` (count in proportion to the error, as in the authors' code), ``uniform``,
            ``balanced``, ``nucs`` (with ``difficulties``) or ``densities`` (with ``densities``).
        difficulties: a difficulty of each class, 0 or more.
        densities: relative densities of the classes.
        validation_sizes: validation samples behind each recall; ``laplace`` needs them.
        min_per_class: every class keeps at least so many, or all that it has.
        laplace: smooths recalls to (correct + 1) / (total + 2).
        seed: decides ties of the rounding only.
        class_names: names in messages.

    Raises:
        ValueError: naming what was found and what was expected.
    """
    if density is None:
        raise ValueError("density: found nothing, expected a fraction above 0 and at most 1")
    found, counts = recalls_and_sizes(recalls, validation_sizes)
    values = difficulties if rule == "nucs" else densities if rule == "densities" else None
    for what, given, of in (("difficulties", difficulties, "nucs"), ("densities", densities, "densities")):
        if given is not None and rule != of:
            raise ValueError(f"{what}: found some with rule {rule!r}, expected them with {of!r} only")
    told = _native.quotas(
        integers("sizes", sizes).tolist(),
        float(density),
        rule,
        found,
        counts,
        None if values is None else floats(rule, values).tolist(),
        min_per_class,
        laplace,
        seed,
        list(class_names or []),
    )
    return Quotas(told["counts"], told["densities"], _findings(told["warnings"]))


def prune(
    labels: Any,
    density: float,
    *,
    strategy: str = "random",
    quota: str = "metriq",
    scores: Union[None, Any, Mapping[str, Any]] = None,
    keep: str = "highest",
    recalls: Any = None,
    validation_sizes: Any = None,
    validation: Union[None, Tuple[Any, Any], Sequence[Tuple[Any, Any]]] = None,
    features: Any = None,
    probabilities: Any = None,
    eligible: Any = None,
    min_per_class: Optional[int] = None,
    laplace: bool = False,
    winsor: Optional[float] = None,
    seed: int = 0,
    classes: Optional[int] = None,
    class_names: Optional[Sequence[str]] = None,
    **options: Any,
) -> Subset:
    """Chooses the samples to keep, as ``fairprune prune`` does.

    Args:
        labels: class of each sample, N whole numbers of 0 or more.
        density: kept fraction, above 0 and at most 1.
        strategy: which samples are preferred: ``random``; ``given``, by the one score of ``scores``; a score's
            name (``el2n``, ``grand``, ...), by ``scores[name]``; or a selection method (``coreset``,
            ``herding``, ``moderate``, ``ccs``, ``d2``, ...), which looks at ``features``, ``probabilities``
            or named scores.
        quota: how many of each class: ``metriq`` (by ``recalls``), ``metriq-released``, ``predicted`` (by
            ``validation``), ``uniform``, ``balanced``, ``nucs`` (by the score), ``from:STRATEGY``, or
            ``none`` for one ranking over all classes.
        scores: one score, N numbers, or scores by name.
        keep: which end of a given score is kept: ``highest`` or ``lowest``. Named scores know theirs.
        recalls: validation recall of each class, NaN where there is none.
        validation_sizes: validation samples behind each recall.
        validation: (log-probabilities V x K, labels V) of a network trained on all data, or a list of such
            pairs, one a network: what predictions are made from.
        features: N x D.
        probabilities: N x K, a network's predictions.
        eligible: positions, or a mask of N, that may be kept; all without it.
        min_per_class, laplace: as in :func:`quotas`.
        winsor: fraction of each end of a class that ``nucs`` winsorises.
        seed: the seed of ``fairprune prune``: the same one draws the same samples.
        classes: number of classes K; without it the length of ``recalls`` or ``class_names``, or the
            largest label and 1.
        class_names: names in messages.
        **options: options of selection methods (``beta``, ``strata``, ``neighbours``, ``lambda_``, ...).

    Raises:
        ValueError: naming what was found and what was expected; also for arrays that are of no use to what
            is asked for.
    """
    known = integers("labels", labels)
    found, counts = recalls_and_sizes(recalls, validation_sizes)
    names = list(class_names or [])
    count = class_count(known, classes, found, names or None)
    if keep not in ("highest", "lowest"):
        raise ValueError(f"keep: found {keep!r}, expected 'highest' or 'lowest'")
    one, named = None, {}
    if isinstance(scores, Mapping):
        named = {str(name): floats(f"scores {name}", values) for name, values in scores.items()}
    elif scores is not None:
        one = floats("scores", scores)
        if np.isnan(one).any():
            raise ValueError(f"scores, position {int(np.isnan(one).argmax())}: found NaN, expected a number")
    told = _native.prune(
        known,
        count,
        float(density),
        strategy,
        quota,
        one,
        keep == "lowest",
        named,
        found,
        counts,
        _validation(validation),
        None if features is None else matrix("features", features),
        None if probabilities is None else matrix("probabilities", probabilities),
        _eligible(eligible, len(known)),
        min_per_class,
        laplace,
        winsor,
        options,
        seed,
        names,
    )
    forecast = told.pop("forecast")
    told["warnings"] = _findings(told["warnings"])
    return Subset(**told, forecast=None if forecast is None else Forecast(**forecast))


def _eligible(eligible: Any, samples: int) -> Optional[np.ndarray]:
    if eligible is None:
        return None
    array = host("eligible", eligible)
    if array.dtype == bool:
        if array.shape != (samples,):
            raise ValueError(f"eligible: found a mask of shape {array.shape}, expected ({samples},)")
        return np.flatnonzero(array).astype(np.int64)
    positions = np.sort(integers("eligible", array))
    twice = np.flatnonzero(np.diff(positions) == 0)
    if len(twice):
        raise ValueError(f"eligible: found position {positions[twice[0]]} twice, expected each once")
    if len(positions) and (positions[0] < 0 or positions[-1] >= samples):
        bad = positions[0] if positions[0] < 0 else positions[-1]
        raise ValueError(f"eligible: found position {bad}, expected 0 to {samples - 1}")
    return positions


def _validation(validation: Any) -> List[Tuple[np.ndarray, np.ndarray]]:
    if validation is None:
        return []
    pairs = [validation] if isinstance(validation, tuple) and len(validation) == 2 else list(validation)
    runs = []
    for pair in pairs:
        if len(pair) != 2:
            raise ValueError(f"validation: found {len(pair)} arrays, expected log-probabilities and labels")
        runs.append((matrix("validation log-probabilities", pair[0]), integers("validation labels", pair[1])))
    return runs
