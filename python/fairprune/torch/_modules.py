"""Which module is at work, and what a module's parameters do that no kernel knows."""

from typing import Any, Callable, Dict, List, Set, Tuple

import torch
from torch import nn


class Frame:
    """A module at work: its arguments, and the parameters that were used there in unknown ways."""

    def __init__(self, module: nn.Module, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
        self.module = module
        self.args = args
        self.kwargs = kwargs
        self.unknown: Set[str] = set()


class ModuleStack:
    """Follows the modules of ``model`` as they call each other, while it is open.

    Args:
        model: whose modules are followed.
        begin: called when the whole model begins, with its arguments.
        leave: called when a module ends, with its frame and output.
        idle: tells whether nothing is to be followed at the moment.
    """

    def __init__(
        self,
        model: nn.Module,
        begin: Callable[[Tuple[Any, ...], Dict[str, Any]], None],
        leave: Callable[[Frame, Any], None],
        idle: Callable[[], bool],
    ) -> None:
        self.model, self.begin, self.leave, self.idle = model, begin, leave, idle
        self.frames: List[Frame] = []
        self.handles: List[Any] = []

    def open(self) -> None:
        for module in self.model.modules():
            self.handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
            self.handles.append(module.register_forward_hook(self._exit, with_kwargs=True, always_call=True))

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
        self.frames.clear()

    def _enter(self, module: nn.Module, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
        if self.idle():
            return
        if module is self.model and not self.frames:
            self.begin(args, kwargs)
        self.frames.append(Frame(module, args, kwargs))

    def _exit(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        # After an error of a module inside, its frames are still there.
        while not self.idle() and self.frames:
            frame = self.frames.pop()
            if frame.module is module:
                if output is not None:
                    self.leave(frame, output)
                return


def tensors_of(value: Any) -> List[torch.Tensor]:
    """The tensors of nested tuples, lists and maps."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in tensors_of(part)]
    if isinstance(value, dict):
        return [tensor for part in value.values() for tensor in tensors_of(part)]
    return []


def vmap_squares(
    frame: Frame, names: List[str], outputs: List[int], dy: List[torch.Tensor], samples: int, chunk: int
) -> torch.Tensor:
    """Squared norms of the samples' gradients of a module's parameters, by ``torch.func``.

    Args:
        frame: the module and its arguments, whose tensors with N rows are the samples'.
        names: parameters, as the module names them.
        outputs: which tensors of the module's output ``dy`` are the gradients of.
        dy: gradients of these outputs.
        samples: N.
        chunk: samples at a time.
    """
    module = frame.module
    parameters = {name: module.get_parameter(name).detach() for name in names}
    flat_args = list(frame.args) + list(frame.kwargs.values())
    keys = list(frame.kwargs)

    def batched(value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[0] == samples

    inputs = [value.detach() if isinstance(value, torch.Tensor) else value for value in flat_args]
    mapped = [i for i, value in enumerate(inputs) if batched(value)]

    def squares(own_inputs, own_dy):
        def objective(own_parameters):
            values = list(inputs)
            for place, value in zip(mapped, own_inputs):
                values[place] = value.unsqueeze(0)
            args = tuple(values[: len(frame.args)])
            kwargs = dict(zip(keys, values[len(frame.args) :]))
            told = tensors_of(torch.func.functional_call(module, own_parameters, args, kwargs))
            return sum((told[place].squeeze(0) * g).sum() for place, g in zip(outputs, own_dy))

        gradients = torch.func.grad(objective)(parameters)
        return sum(g.double().pow(2).sum() for g in gradients.values())

    # The gradients come from inside a backward pass, where recording is off.
    with torch.enable_grad():
        mapping = torch.func.vmap(squares, chunk_size=chunk)
        return mapping([inputs[i] for i in mapped], list(dy)).detach()
