"""Arrays of the caller's as the native part takes them. Nothing is guessed: what does not fit is named."""

from typing import Any, Optional, Tuple

import numpy as np

from fairprune import _native


def host(what: str, values: Any) -> np.ndarray:
    """An array of anything array-like; tensors of PyTorch are detached and brought to the host."""
    if hasattr(values, "detach"):
        values = values.detach()
        # numpy has no bfloat16, and half precision is no type of scores here.
        if str(values.dtype) in ("torch.bfloat16", "torch.float16"):
            values = values.float()
        values = values.cpu().numpy()
    array = np.asarray(values)
    if array.dtype == object:
        raise ValueError(f"{what}: found Python objects, expected numbers")
    return array


def integers(what: str, values: Any) -> np.ndarray:
    """One axis of whole numbers, as int64."""
    array = host(what, values)
    if array.ndim != 1:
        raise ValueError(f"{what}: found shape {array.shape}, expected one axis")
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{what}: found {array.max()}, expected a number below 2**63")
    if array.dtype.kind not in "iu":
        # An empty list has no type of its own.
        if array.size:
            raise ValueError(f"{what}: found values of {array.dtype}, expected whole numbers")
    return np.ascontiguousarray(array, dtype=np.int64)


def floats(what: str, values: Any, dtype: type = np.float64) -> np.ndarray:
    """One axis of numbers."""
    array = host(what, values)
    if array.ndim != 1:
        raise ValueError(f"{what}: found shape {array.shape}, expected one axis")
    return _numbers(what, array, dtype)


def matrix(what: str, values: Any) -> np.ndarray:
    """Two axes of float32, rows one after another."""
    array = host(what, values)
    if array.ndim != 2:
        raise ValueError(f"{what}: found shape {array.shape}, expected two axes")
    return _numbers(what, array, np.float32)


def _numbers(what: str, array: np.ndarray, dtype: type) -> np.ndarray:
    if array.dtype.kind not in "fiub" and array.size:
        raise ValueError(f"{what}: found values of {array.dtype}, expected numbers")
    return np.ascontiguousarray(array, dtype=dtype)


def class_count(labels: np.ndarray, classes: Optional[int], *others: Optional[np.ndarray]) -> int:
    """The number of classes: as stated, or from the longest of ``others``, or the largest label and 1."""
    if classes is not None:
        return int(classes)
    lengths = [len(other) for other in others if other is not None]
    if lengths:
        return max(lengths)
    return int(labels.max()) + 1 if labels.size else 0


def recalls(labels: Any, predictions: Any, classes: Optional[int] = None) -> np.ndarray:
    """Recall of each class: the share of its validation samples that were predicted as it.

    Args:
        labels: class of each validation sample, V whole numbers of 0 or more.
        predictions: predicted class of each, V whole numbers; or logits or probabilities, V x K, whose
            largest column is the prediction (the first of equals).
        classes: number of classes K; without it the largest label or prediction, or the columns.

    Returns:
        float64, one a class; NaN for a class without validation samples.

    Raises:
        ValueError: arrays of other lengths, or a class that is not below ``classes``.
    """
    known = integers("labels", labels)
    found = host("predictions", predictions)
    if found.ndim == 2:
        columns = found.shape[1]
        classes = columns if classes is None else classes
        if found.dtype.kind == "f" and np.isnan(found).any():
            raise ValueError("predictions: found NaN, expected numbers")
        found = found.argmax(axis=1) if columns else found
    predicted = integers("predictions", found)
    if classes is None:
        highest = max((int(a.max()) for a in (known, predicted) if a.size), default=-1)
        classes = highest + 1
    return _native.class_recalls(known, predicted, int(classes))


def recalls_and_sizes(recalls_: Any, sizes: Any) -> Tuple[Optional[np.ndarray], Optional[list]]:
    """Recalls and the validation samples behind them, as the native part takes them."""
    values = None if recalls_ is None else floats("recalls", recalls_)
    counts = None if sizes is None else integers("validation_sizes", sizes)
    if counts is not None and (counts < 0).any():
        raise ValueError(f"validation_sizes: found {counts.min()}, expected 0 or more")
    return values, None if counts is None else counts.tolist()
