"""What each function of PyTorch does with its parameters, and what its gradient's norm takes.

A handler has the signature of its function. It returns the function's input, the parameters by their place
(weight, bias), and a function that adds the layer's squared norms to a sum, given the input and the gradient
of the output; or None where the native kernels do not know the variant that was called.
"""

from typing import Any, Callable, Dict, NamedTuple, Optional

import numpy as np
import torch
import torch.nn.functional as F

from fairprune._native import SampleNorms
from fairprune.torch._tensors import of_images, of_rows, rows


class Layer(NamedTuple):
    """One use of parameters.

    Attributes:
        x: the input whose values the norm needs.
        weight, bias: tensors at the places of the parameters.
        add: adds squared norms: (sums, x, dy, whether the weight counts, whether the bias does).
    """

    x: torch.Tensor
    weight: Optional[torch.Tensor]
    bias: Optional[torch.Tensor]
    add: Callable[[SampleNorms, torch.Tensor, torch.Tensor, bool, bool], None]


def _pair(value: Any) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Optional[Layer]:
    kernel = tuple(weight.shape[2:])
    stride, dilation = _pair(stride), _pair(dilation)
    if input.dim() != 4 or any(d != 1 and k != 1 for d, k in zip(dilation, kernel)):
        return None
    if padding == "valid":
        padding = 0
    if padding == "same":
        # An odd total has one more column on the right and one more row below.
        total = [k - 1 for k in kernel]
        around = (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2)
    else:
        vertical, horizontal = _pair(padding)
        around = (horizontal, horizontal, vertical, vertical)
    left, right, above, below = around
    # The kernels pad evenly, and less than a kernel; other images are padded first.
    inside = left == right and above == below and above < kernel[0] and left < kernel[1]

    def add(sums, x, dy, of_weight, of_bias):
        if not inside:
            x = F.pad(x, around)
        pads = (above, left) if inside else (0, 0)
        sums.conv(of_images(x), of_images(dy), kernel, stride, pads, groups, of_weight, of_bias)

    return Layer(input, weight, bias, add)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Optional[Layer]:
    if input.dim() != 3:
        return None

    def flat(value, beside):
        return value if isinstance(value, str) else (beside, value[0] if isinstance(value, (tuple, list)) else value)

    of_image = conv2d(
        input.unsqueeze(2), weight.unsqueeze(2), bias, flat(stride, 1), flat(padding, 0), flat(dilation, 1), groups
    )
    if of_image is None:
        return None

    def add(sums, x, dy, of_weight, of_bias):
        of_image.add(sums, x.unsqueeze(2), dy.unsqueeze(2), of_weight, of_bias)

    return Layer(input, weight, bias, add)


def linear(input, weight, bias=None) -> Optional[Layer]:
    if input.dim() < 2:
        return None

    def add(sums, x, dy, of_weight, of_bias):
        x, dy = rows(x), rows(dy)
        sums.conv(of_rows(x), of_rows(dy), (1, 1), (1, 1), (0, 0), 1, of_weight, of_bias)

    return Layer(input, weight, bias, add)


def _images(tensor: torch.Tensor) -> torch.Tensor:
    """N x C x ... as N x C x H x W."""
    if tensor.dim() == 4:
        return tensor
    return tensor.reshape(tensor.shape[0], tensor.shape[1], 1, -1)


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
) -> Optional[Layer]:
    if training or running_mean is None or running_var is None:
        raise ValueError(
            "batch norm: found batch statistics, which mix the samples of a batch, expected running ones: "
            "call model.eval() first"
        )
    mean = running_mean.detach().to(torch.float32).numpy()
    rstd = torch.rsqrt(running_var.detach().double() + eps).to(torch.float32).numpy()

    def add(sums, x, dy, of_weight, of_bias):
        x, dy = _images(x), _images(dy)
        sums.batch_norm(of_images(x), of_images(dy), mean, rstd, of_weight, of_bias)

    return Layer(input, weight, bias, add)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5) -> Optional[Layer]:
    return _over_last(input, len(tuple(normalized_shape)), weight, bias, eps, True)


def rms_norm(input, normalized_shape, weight=None, eps=None) -> Optional[Layer]:
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    return _over_last(input, len(tuple(normalized_shape)), weight, None, eps, False)


def _over_last(input, trailing, weight, bias, eps, centred) -> Optional[Layer]:
    if input.dim() <= trailing:
        return None

    def add(sums, x, dy, of_weight, of_bias):
        x, dy = rows(x, trailing), rows(dy, trailing)
        sums.layer_norm(of_rows(x), of_rows(dy), float(eps), centred, of_weight, of_bias)

    return Layer(input, weight, bias, add)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5) -> Optional[Layer]:
    def add(sums, x, dy, of_weight, of_bias):
        x, dy = _images(x), _images(dy)
        sums.group_norm(of_images(x), of_images(dy), int(num_groups), float(eps), of_weight, of_bias)

    return Layer(input, weight, bias, add)


def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
) -> Optional[Layer]:
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    return group_norm(input, input.shape[1], weight, bias, eps)


def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
) -> Optional[Layer]:
    if scale_grad_by_freq or input.dim() < 1:
        return None
    if padding_idx is not None and padding_idx < 0:
        padding_idx += weight.shape[0]

    def add(sums, x, dy, of_weight, of_bias):
        indices = np.ascontiguousarray(x.reshape(-1).to(torch.int64).numpy())
        dy = rows(dy)
        sums.embedding(indices, of_rows(dy), padding_idx)

    return Layer(input, weight, None, add)


#: What is known of functions of PyTorch that take parameters.
HANDLERS: Dict[Any, Callable[..., Optional[Layer]]] = {
    F.conv2d: conv2d,
    torch.conv2d: conv2d,
    F.conv1d: conv1d,
    torch.conv1d: conv1d,
    F.linear: linear,
    F.batch_norm: batch_norm,
    F.layer_norm: layer_norm,
    F.group_norm: group_norm,
    F.instance_norm: instance_norm,
    F.embedding: embedding,
}
if hasattr(F, "rms_norm"):
    HANDLERS[F.rms_norm] = rms_norm

#: Functions of two tensors, element by element, one of which may be a parameter that all samples share.
BROADCASTS = {
    torch.add,
    torch.sub,
    torch.mul,
    torch.Tensor.add,
    torch.Tensor.sub,
    torch.Tensor.mul,
    torch.Tensor.add_,
    torch.Tensor.mul_,
    torch.Tensor.__add__,
    torch.Tensor.__radd__,
    torch.Tensor.__iadd__,
    torch.Tensor.__mul__,
    torch.Tensor.__rmul__,
    torch.Tensor.__imul__,
    torch.Tensor.__sub__,
}

#: Functions that give each sample a copy of a parameter.
COPIES = {torch.Tensor.expand, torch.Tensor.repeat}
