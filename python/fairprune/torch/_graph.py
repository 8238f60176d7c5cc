"""What is recorded for the backward pass: tensors that are made part of it, and parameters that are not."""

from typing import Any, Dict, Tuple

import torch


class _Attach(torch.autograd.Function):
    """Makes the output of a layer without recorded inputs part of the graph, so that its gradient is told."""

    @staticmethod
    def forward(ctx: Any, output: torch.Tensor, anchor: torch.Tensor) -> torch.Tensor:
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Tuple[None, None]:
        return None, None


def attached(value: Any, anchor: torch.Tensor) -> Any:
    """Tensors that are part of the graph, in the same tuple or list."""
    if isinstance(value, torch.Tensor):
        attach = value.is_floating_point() and not value.requires_grad
        return _Attach.apply(value, anchor) if attach else value
    if isinstance(value, (tuple, list)):
        return type(value)(attached(part, anchor) for part in value)
    return value


def without(names: Dict[int, str], args: Any, kwargs: Dict[str, Any]) -> Tuple[Any, Dict[str, Any]]:
    """The arguments with parameters that are not recorded."""

    def plain(value: Any) -> Any:
        return value.detach() if id(value) in names else value

    return tuple(plain(v) for v in args), {key: plain(v) for key, v in kwargs.items()}
