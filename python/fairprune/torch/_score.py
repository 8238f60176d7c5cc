"""Whole passes over a data set."""

import contextlib
import sys
from typing import Any, Callable, Dict, Iterable, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, RandomSampler

from fairprune import _native
from fairprune._arrays import integers, matrix
from fairprune._files import PathLike, folder_names, write_scores
from fairprune.torch._grad_norms import GradNorms

#: Scores of one forward pass, and those that need gradients.
FORWARD = ("el2n", "loss", "margin", "entropy", "least-confidence")
GRAND = "grand"


def loss_scores(logits: Any, labels: Any) -> Dict[str, np.ndarray]:
    """Everything that logits say of their samples, in one pass.

    Args:
        logits: N x K; numpy or a tensor.
        labels: N classes below K.

    Returns:
        float32 of N by name, with p the softmax: ``loss`` (-ln p_y), ``el2n`` (|p - onehot|), ``margin`` (the two
        largest p), ``entropy``, ``least-confidence`` (the largest p), ``label-probability`` (p_y),
        ``logit-margin`` (z_y less the largest other logit), ``prediction``.

    Raises:
        ValueError: other shapes, a label that is no class, a logit that is not finite.
    """
    return _native.loss_scores(matrix("logits", logits), integers("labels", labels))


def _pair(batch: Any) -> Tuple[Any, torch.Tensor]:
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    raise ValueError(
        f"loader: found batches of {type(batch).__name__}"
        + (f" of {len(batch)}" if isinstance(batch, (tuple, list)) else "")
        + ", expected (inputs, labels); unpack= says how to take others apart"
    )


def score(
    model: nn.Module,
    loader: Iterable[Any],
    methods: Sequence[str] = ("el2n",),
    *,
    folder: Optional[PathLike] = None,
    ids: Optional[Sequence[str]] = None,
    classes: Optional[Sequence[str]] = None,
    name: str = "loader",
    validation: Optional[Iterable[Any]] = None,
    unpack: Callable[[Any], Tuple[Any, torch.Tensor]] = _pair,
    fallback: Optional[str] = None,
    layers: Optional[Sequence[str]] = None,
    device: Any = None,
    progress: bool = True,
) -> Dict[str, np.ndarray]:
    """Scores every sample of a loader with a network in eval mode.

    Args:
        model: the network; it gives logits, N x K. Its mode is restored afterwards.
        loader: batches in the order of the data set; a shuffling loader is refused.
        methods: ``el2n``, ``loss``, ``margin``, ``entropy``, ``least-confidence``, and ``grand``: the full
            norm of the cross-entropy's gradient (:class:`GradNorms`).
        folder: where to write a folder of scores that ``fairprune prune --scores`` takes.
        ids, classes, name: names of the samples, the classes and the data set, for the folder; those of the
            files without them, where the loader's data set is one of torchvision's folders.
        validation: a loader of validation samples, whose recalls are written beside the scores.
        unpack: takes a batch apart into inputs and labels.
        fallback, layers: as in :class:`GradNorms`, for ``grand``.
        device: where inputs are moved; that of the model's first parameter without it.
        progress: whether to draw a bar where the standard error is a terminal.

    Returns:
        float32, one a sample, by the name of the score; with ``labels``, int64.

    Raises:
        ValueError: unknown scores, a shuffling loader, and what :class:`GradNorms` and
            :func:`fairprune.write_scores` refuse.
    """
    wanted = [methods] if isinstance(methods, str) else list(methods)
    unknown = [m for m in wanted if m not in (*FORWARD, GRAND)]
    if unknown or not wanted:
        found = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"methods: found {found}, expected some of {', '.join((*FORWARD, GRAND))}")
    for which in (loader, validation):
        _check_order(which)
    if device is None:
        first = next(model.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
    trained = model.training
    model.eval()
    try:
        columns = _pass(model, loader, wanted, unpack, device, progress, fallback, layers)
        answers = None if validation is None else _answers(model, validation, unpack, device)
    finally:
        model.train(trained)
    if folder is not None:
        if ids is None and classes is None:
            names = folder_names(getattr(loader, "dataset", None))
            if names and np.array_equal(names["labels"], columns["labels"]):
                ids, classes = names["ids"], names["classes"]
        own = {key: value for key, value in columns.items() if key != "labels"}
        known = answers or (None, None)
        count = len(classes) if classes is not None else _classes(columns["labels"], known[1])
        told = None if answers is None else tuple(_fit(part, count) for part in answers)
        write_scores(
            folder,
            columns["labels"],
            own,
            ids=ids,
            classes=classes if classes is not None else [str(k) for k in range(count)],
            name=name,
            variant="a network of the caller's in eval mode, running batch-norm statistics",
            validation=told,
        )
    return columns


def _classes(labels: np.ndarray, total: Optional[np.ndarray]) -> int:
    of_labels = int(labels.max()) + 1 if len(labels) else 0
    return max(of_labels, 0 if total is None else len(total))


def _fit(counts: np.ndarray, classes: int) -> np.ndarray:
    """Counts of the classes that there are; logits may have more columns than there are classes."""
    if counts[classes:].any():
        raise ValueError(f"validation: found samples of class {len(counts) - 1}, expected classes below {classes}")
    return np.pad(counts[:classes], (0, max(0, classes - len(counts))))


def _check_order(loader: Any) -> None:
    sampler = getattr(loader, "sampler", None) if isinstance(loader, DataLoader) else None
    if isinstance(sampler, RandomSampler):
        raise ValueError("loader: found one that shuffles, expected the order of the data set (shuffle=False)")


def _pass(model, loader, wanted, unpack, device, progress, fallback, layers) -> Dict[str, np.ndarray]:
    told: Dict[str, list] = {name: [] for name in (*wanted, "labels")}
    norms = None
    if GRAND in wanted:
        norms = GradNorms(model, weight_gradients=False, fallback=fallback, layers=layers)
    for inputs, labels in _batches(loader, unpack, device, progress):
        with norms or contextlib.nullcontext(), torch.set_grad_enabled(norms is not None):
            logits = model(inputs)
            if norms is not None:
                F.cross_entropy(logits.float(), labels, reduction="sum").backward()
                told[GRAND].append(norms.norms().numpy())
        scores = loss_scores(logits, labels)
        for name in wanted:
            if name != GRAND:
                told[name].append(scores[name])
        told["labels"].append(integers("labels", labels))
    if not told["labels"]:
        raise ValueError("loader: found no batches, expected at least one")
    return {name: np.concatenate(parts) for name, parts in told.items()}


def _batches(loader, unpack, device, progress):
    total = len(loader) if hasattr(loader, "__len__") else None
    draw = progress and sys.stderr.isatty()
    for number, batch in enumerate(loader, 1):
        inputs, labels = unpack(batch)
        move = inputs.to(device) if isinstance(inputs, torch.Tensor) else inputs
        yield move, torch.as_tensor(labels).to(device)
        if draw:
            of = "" if total is None else f" of {total}"
            end = "\n" if number == total else ""
            print(f"\rscored {number}{of} batches", end=end, file=sys.stderr, flush=True)


def _answers(model, loader, unpack, device) -> Tuple[np.ndarray, np.ndarray]:
    correct = total = None
    for inputs, labels in _batches(loader, unpack, device, False):
        with torch.no_grad():
            logits = model(inputs)
        classes = logits.shape[1]
        if total is None:
            correct, total = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
        known = integers("labels", labels)
        right = loss_scores(logits, labels)["prediction"].astype(np.int64) == known
        total += np.bincount(known, minlength=classes)
        correct += np.bincount(known[right], minlength=classes)
    if total is None:
        raise ValueError("validation: found no batches, expected at least one")
    return correct, total
