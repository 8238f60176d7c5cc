"""Scores of any PyTorch network: full per-sample gradient norms at training speed, losses and EL2N.

::

    from fairprune.torch import GradNorms, loss_scores, score

    with GradNorms(model.eval()) as g:
        loss = torch.nn.functional.cross_entropy(model(images), labels, reduction="sum")
        loss.backward()
        norms = g.norms()

Tensors are those of the host: float32 or bfloat16, channels first or last. A card's tensors are refused; its
networks are scored by the command ``fairprune``.
"""

from fairprune.torch._grad_norms import GradNorms
from fairprune.torch._score import loss_scores, score

__all__ = ["GradNorms", "loss_scores", "score"]
