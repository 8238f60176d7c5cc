"""Tensors as the native part takes them, without a copy: the tensor, which thereby lives until the call returns, its
address, type, shape and strides.
"""

from typing import Tuple

import torch

TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

Argument = Tuple[torch.Tensor, int, str, Tuple[int, ...], Tuple[int, ...]]


def check(tensor: torch.Tensor, what: str) -> None:
    """Refuses tensors that the kernels cannot read.

    Raises:
        ValueError: naming the layer, and the device or type that was found.
    """
    if tensor.device.type != "cpu":
        raise ValueError(f"{what}: found a tensor on {tensor.device}, expected one in host memory (cpu)")
    if tensor.layout != torch.strided:
        raise ValueError(f"{what}: found a tensor of layout {tensor.layout}, expected a strided one")
    if tensor.dtype not in TYPES:
        raise ValueError(f"{what}: found values of {tensor.dtype}, expected torch.float32 or torch.bfloat16")


def of_images(tensor: torch.Tensor) -> Argument:
    """N x C x H x W in any memory format, as (N, H, W, C)."""
    n, c, h, w = tensor.shape
    of_n, of_c, of_h, of_w = tensor.stride()
    return tensor, tensor.data_ptr(), TYPES[tensor.dtype], (n, h, w, c), (of_n, of_h, of_w, of_c)


def of_rows(tensor: torch.Tensor) -> Argument:
    """N x T x C as (N, 1, T, C)."""
    n, t, c = tensor.shape
    of_n, of_t, of_c = tensor.stride()
    return tensor, tensor.data_ptr(), TYPES[tensor.dtype], (n, 1, t, c), (of_n, t * of_t, of_t, of_c)


def rows(tensor: torch.Tensor, trailing: int = 1) -> torch.Tensor:
    """N x ... x C as N x T x C, where the last ``trailing`` axes together are C."""
    shape = tensor.shape
    last = 1
    for size in shape[len(shape) - trailing :]:
        last *= size
    middle = 1
    for size in shape[1 : len(shape) - trailing]:
        middle *= size
    return tensor.reshape(shape[0], middle, last)
