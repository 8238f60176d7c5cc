"""Scores training samples and prunes data sets fairly: arrays in, positions out.

Pruning needs numpy alone::

    import fairprune

    recalls = fairprune.recalls(validation_labels, predictions)
    kept = fairprune.prune(labels, density=0.3, recalls=recalls)
    train = torch.utils.data.Subset(dataset, kept.indices)

Record what your own training loop says of every sample, and score it::

    recorder = fairprune.Recorder(samples=len(dataset), classes=10)
    ...
    recorder.update(indices, logits, labels)   # every batch, before the step
    recorder.end_epoch()
    scores = recorder.scores("forgetting", "aum")

Score any PyTorch network, with full per-sample gradient norms::

    from fairprune.torch import score
    scores = score(model, loader, ["el2n", "grand"])

``fairprune`` is also a command, and ``python -m fairprune`` is the same one. Whatever this module and the
command both do, they do with the same code: the same input gives the same samples.
"""

from fairprune._arrays import recalls
from fairprune._compare import Comparison, compare
from fairprune._files import (
    Dynamics,
    Scores,
    read_dynamics,
    read_features,
    read_scores,
    subset,
    subset_indices,
    write_scores,
)
from fairprune._native import METHODS, __version__, set_threads, threads
from fairprune._prune import Finding, Forecast, Quotas, Subset, prune, quotas
from fairprune._recorder import Recorder

__all__ = [
    "METHODS",
    "Comparison",
    "Dynamics",
    "Finding",
    "Forecast",
    "Quotas",
    "Recorder",
    "Scores",
    "Subset",
    "__version__",
    "compare",
    "prune",
    "quotas",
    "read_dynamics",
    "read_features",
    "read_scores",
    "recalls",
    "set_threads",
    "subset",
    "subset_indices",
    "threads",
    "write_scores",
]
