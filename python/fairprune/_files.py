"""Files that the command writes and reads."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from fairprune import _native
from fairprune._arrays import floats, integers

PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Scores:
    """A folder of scores.

    Attributes:
        ids: name of each sample.
        labels: int64, N.
        parts: ``train``, ``val`` or ``out`` for each sample.
        scores: float32 of N by name; NaN where a sample has none.
        classes: names of the classes, where the folder states them.
        fingerprint: of the data set.
    """

    ids: List[str]
    labels: np.ndarray
    parts: List[str]
    scores: Dict[str, np.ndarray]
    classes: Optional[List[str]]
    fingerprint: str


@dataclass(frozen=True)
class Dynamics:
    """A folder of recorded training dynamics.

    Attributes:
        ids: name of each sample.
        labels: int64, N.
        trained: bool, N; whether the run trained on the sample.
        classes: names of the classes.
        quantities: float32 of epochs x N by name; NaN where an epoch did not present the sample.
        fingerprint: of the data set.
    """

    ids: List[str]
    labels: np.ndarray
    trained: np.ndarray
    classes: List[str]
    quantities: Dict[str, np.ndarray]
    fingerprint: str


def read_scores(folder: PathLike) -> Scores:
    """Reads a folder that ``fairprune score`` or :func:`write_scores` wrote.

    Raises:
        OSError: the folder or a file of it cannot be read.
        ValueError: files that are damaged or do not fit each other.
    """
    return Scores(**_native.read_scores(Path(folder)))


def write_scores(
    folder: PathLike,
    labels: Any,
    scores: Mapping[str, Any],
    *,
    ids: Optional[Sequence[str]] = None,
    classes: Optional[Sequence[str]] = None,
    name: str = "arrays",
    variant: str = "computed by the caller",
    validation: Optional[Tuple[Any, Any]] = None,
) -> None:
    """Writes a folder of scores that ``fairprune prune --scores`` takes.

    Args:
        folder: a new folder, an empty one, or one that this function wrote before.
        labels: class of each sample, N.
        scores: N numbers by the name of a score (``fairprune.METHODS``); NaN for samples without one.
        ids: name of each sample, all different; numbers from 0 without it.
        classes: names of the classes.
        name: what people call the data set.
        variant: how the scores were computed, in a few words.
        validation: (correct, total) validation samples of each class: the recalls that quotas use.

    Raises:
        ValueError: arrays of other lengths, unknown scores, a folder that holds something else.
        OSError: the folder cannot be written.
    """
    columns = [(str(key), floats(f"scores {key}", values, np.float32)) for key, values in scores.items()]
    answers = None
    if validation is not None:
        correct, total = (integers("validation", part).tolist() for part in validation)
        answers = (correct, total)
    _native.write_scores(
        Path(folder),
        integers("labels", labels),
        columns,
        None if ids is None else [str(i) for i in ids],
        None if classes is None else [str(c) for c in classes],
        name,
        variant,
        answers,
    )


def read_dynamics(folder: PathLike) -> Dynamics:
    """Reads a folder ``dynamics`` that ``fairprune train --dynamics``, ``score``, ``run`` or
    :meth:`Recorder.save` wrote.

    Raises:
        OSError: the folder or a file of it cannot be read.
        ValueError: files that are damaged or do not fit each other.
    """
    return Dynamics(**_native.read_dynamics(Path(folder)))


def read_features(folder: PathLike) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Reads ``features.npy`` and ``probabilities.npy`` (None where there is none) of a folder that
    ``fairprune score --save-features`` wrote: N x D and N x K, float32, mapped from the disk.

    Raises:
        OSError: there is no ``features.npy``.
        ValueError: arrays of other shapes.
    """
    path = Path(folder) / "features.npy"
    features = np.load(path, mmap_mode="r", allow_pickle=False)
    beside = Path(folder) / "probabilities.npy"
    probabilities = np.load(beside, mmap_mode="r", allow_pickle=False) if beside.exists() else None
    for name, array in ((path, features), (beside, probabilities)):
        if array is not None and (array.ndim != 2 or array.dtype != np.float32):
            raise ValueError(f"{name}: found {array.dtype} of shape {array.shape}, expected float32 of two axes")
    if probabilities is not None and len(probabilities) != len(features):
        raise ValueError(f"{beside}: found {len(probabilities)} rows, expected {len(features)}, as {path.name} has")
    return features, probabilities


def subset_indices(
    path: PathLike,
    samples: int,
    *,
    labels: Any = None,
    ids: Optional[Sequence[str]] = None,
    classes: Optional[Sequence[str]] = None,
) -> np.ndarray:
    """Positions of a subset that ``fairprune prune`` wrote, int64, ascending.

    Args:
        path: ``kept.npy``, ``mask.npy``, or the folder that holds ``kept.npy``.
        samples: N, the length of the data set that they are positions of.
        labels, ids, classes: class and name of each of the N samples, and the names of the classes. With
            all of them the subset must be of a data set with just these samples in this order; without, of
            one with as many.

    Raises:
        OSError: no such file.
        ValueError: a subset of another data set, or positions that are not those that were written.
    """
    known = None if labels is None else integers("labels", labels)
    if (ids is None) != (known is None):
        raise ValueError("ids and labels: found one of them, expected both or none")
    positions, _ = _native.read_subset(
        Path(path),
        int(samples),
        known,
        None if ids is None else [str(i) for i in ids],
        None if classes is None else [str(c) for c in classes],
    )
    return positions


def subset(dataset: Any, path: PathLike) -> Any:
    """The samples of a PyTorch data set that ``fairprune prune`` kept, as a ``torch.utils.data.Subset``.

    The subset is checked against the data set: its length; and its class names, labels and file names where
    the data set is one of torchvision's folders (``classes``, ``samples``, ``root``), so that a folder with
    other files, or in another order, is refused.

    Args:
        dataset: anything with a length and positions; its training part.
        path: ``kept.npy``, ``mask.npy``, or the folder that holds ``kept.npy``.

    Raises:
        OSError: no such file.
        ValueError: a subset of another data set.
    """
    from torch.utils.data import Subset

    indices = subset_indices(path, len(dataset), **folder_names(dataset))
    return Subset(dataset, indices.tolist())


def folder_names(dataset: Any) -> Dict[str, Any]:
    """Names, labels and classes of one of torchvision's folders, as the command calls them: ``train/CLASS/FILE``
    for the folder ``train``; nothing for other data sets.
    """
    files, root, classes = (getattr(dataset, name, None) for name in ("samples", "root", "classes"))
    if not files or root is None or not classes or not isinstance(files[0], tuple) or len(files[0]) != 2:
        return {}
    above = os.path.dirname(os.path.abspath(root))
    names = [os.path.relpath(os.path.abspath(file), above).replace(os.sep, "/") for file, _ in files]
    return {"ids": names, "labels": [label for _, label in files], "classes": list(classes)}
