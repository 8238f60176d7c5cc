"""Full per-sample gradient norms of a PyTorch network, from one backward pass."""

from typing import Any, Dict, Iterable, Optional, Set, Tuple, Union

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from fairprune._native import SampleNorms
from fairprune.torch._graph import attached, without
from fairprune.torch._layers import BROADCASTS, COPIES, HANDLERS, Layer
from fairprune.torch._modules import Frame, ModuleStack, tensors_of, vmap_squares
from fairprune.torch._tensors import check


class _Watch(TorchFunctionMode):
    """Hands every call of a function of PyTorch to the norms at work."""

    def __init__(self, norms: "GradNorms") -> None:
        super().__init__()
        self.norms = norms

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.norms._call(func, args, kwargs or {})


class GradNorms:
    """The norm of each sample's gradient with respect to all trainable parameters of a model.

    No gradient of a sample is ever stored: each layer's part is computed from its input and the gradient of
    its output when the backward pass comes by, by the kernels that fairprune's own scores use. ::

        model.eval()
        with GradNorms(model) as g:
            for images, labels in loader:
                loss = torch.nn.functional.cross_entropy(model(images), labels, reduction="sum")
                loss.backward()
                norms = g.norms()            # float32, one a sample
                model.zero_grad()

    The loss must be a sum (or, with ``reduction="mean"``, the mean) of terms that each depend on one sample.
    So must the model: batch norm uses running statistics, and the first axis of every tensor is the samples'.

    It knows ``conv1d``, ``conv2d`` (any stride, padding and groups, dilation 1), ``linear`` (also over
    sequences), batch, layer, group, instance and root-mean-square norms, ``embedding``, and parameters that are
    added to or multiplied with activations, whichever module calls them. Other uses of a parameter, and
    parameters used twice, are refused by name; with ``fallback="vmap"`` modules with other uses are done by
    ``torch.func``, and they alone.

    Args:
        model: the network.
        reduction: ``sum`` or ``mean``: what the loss is of its samples' terms.
        layers: names of modules or parameters (as in ``model.named_parameters()``) whose gradients count; all
            without it.
        weight_gradients: whether the backward pass also computes the gradients of the parameters, as it
            would without this. With False ``.grad`` stays as it was, and the pass takes less time.
        fallback: ``vmap``, or None to refuse what is not known.
        chunk: samples at a time where ``torch.func`` is used.

    Raises:
        ValueError: no trainable parameters, unknown layers, compiled or scripted modules. In the passes:
            parameters whose use is not known, tensors that are not in host memory or of other types than
            float32 and bfloat16, tensors whose first axis is not the samples'.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        reduction: str = "sum",
        layers: Optional[Union[str, Iterable[str]]] = None,
        weight_gradients: bool = True,
        fallback: Optional[str] = None,
        chunk: int = 8,
    ) -> None:
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction: found {reduction!r}, expected 'sum' or 'mean'")
        if fallback not in (None, "vmap"):
            raise ValueError(f"fallback: found {fallback!r}, expected 'vmap' or None")
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule) or type(module).__name__ == "OptimizedModule":
                raise ValueError(
                    f"module {name or type(module).__name__}: found a compiled or scripted module, whose "
                    "parameters are used out of sight, expected the module that it was made of"
                )
        self.model = model
        self.reduction = reduction
        self.weight_gradients = weight_gradients
        self.fallback = fallback
        self.chunk = chunk
        self._watched = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
        self._counted = _counted(self._watched, layers)
        self._sums = SampleNorms(0)
        self._anchor = torch.zeros((), requires_grad=True)
        self._stack = ModuleStack(model, self._begin, self._leave, lambda: self._busy)
        self._mode: Optional[_Watch] = None
        self._busy = False
        self._batch = 0
        self._samples: Optional[int] = None
        self._uses: Dict[str, str] = {}
        self._told = 0

    def __enter__(self) -> "GradNorms":
        if self._mode is not None:
            raise ValueError("GradNorms: found it entered twice, expected once at a time")
        self._reset()
        self._stack.open()
        self._mode = _Watch(self)
        self._mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.__exit__(*error)
        self._stack.close()

    def norms(self) -> torch.Tensor:
        """Norms of the last batch's gradients, float32, one a sample.

        Raises:
            ValueError: there was no backward pass since the last forward pass.
        """
        return self.squared_norms().sqrt().to(torch.float32)

    def squared_norms(self) -> torch.Tensor:
        """Squared norms, float64.

        Raises:
            ValueError: there was no backward pass since the last forward pass.
        """
        if self._told == 0 or self._samples is None:
            raise ValueError("norms: found no backward pass, expected one since the forward pass")
        squares = torch.from_numpy(self._sums.values())
        return squares * self._samples**2 if self.reduction == "mean" else squares

    def _reset(self) -> None:
        self._batch += 1
        self._samples = None
        self._uses = {}
        self._told = 0

    def _begin(self, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
        self._reset()
        batched = [t for t in tensors_of((args, kwargs)) if t.dim() > 0]
        if batched:
            self._start(batched[0].shape[0])

    def _start(self, samples: int) -> None:
        self._samples = samples
        self._sums.reset(samples)

    def _leave(self, frame: Frame, output: Any) -> None:
        if not frame.unknown:
            return
        told = tensors_of(output)
        places = [i for i, tensor in enumerate(told) if tensor.requires_grad]
        names = sorted(frame.unknown)
        batch, samples = self._batch, self._samples

        def add(gradients: Any) -> None:
            dy = [torch.zeros_like(told[i]) if g is None else g for i, g in zip(places, gradients)]
            squares = vmap_squares(frame, names, places, dy, samples, self.chunk)
            self._sums.add_squares(squares.numpy())

        def hook(gradients: Any) -> None:
            self._tell(batch, lambda: add(gradients))

        if len(places) == 1:
            told[places[0]].register_hook(lambda gradient: hook([gradient]))
        else:
            torch.autograd.graph.register_multi_grad_hook([told[i] for i in places], hook)

    def _tell(self, batch: int, add: Any) -> None:
        """Runs ``add`` of a hook, unseen by the watch."""
        if batch != self._batch:
            raise ValueError(
                "backward pass: found that of an earlier forward pass, expected each batch's backward pass "
                "before the next batch's forward pass"
            )
        before, self._busy = self._busy, True
        try:
            with torch.no_grad():
                add()
            self._told += 1
        finally:
            self._busy = before

    def _names(self, args: Any, kwargs: Dict[str, Any]) -> Dict[int, str]:
        """Names of the watched parameters among the arguments, by identity."""
        found = {}
        for value in (*args, *kwargs.values()):
            parts = value if isinstance(value, (tuple, list)) else (value,)
            for part in parts:
                name = self._watched.get(id(part))
                if name is not None:
                    found[id(part)] = name
        return found

    def _call(self, func: Any, args: Any, kwargs: Dict[str, Any]) -> Any:
        used = {} if self._busy or not torch.is_grad_enabled() else self._names(args, kwargs)
        if not used or getattr(func, "__name__", "") in ("__get__", "__set__"):
            return func(*args, **kwargs)
        names = {own: name for own, name in used.items() if own in self._counted}
        if not names:
            if not self.weight_gradients:
                args, kwargs = without(used, args, kwargs)
            return func(*args, **kwargs)
        handler = HANDLERS.get(func)
        layer = handler(*args, **kwargs) if handler else None
        if layer is not None:
            return self._layer(layer, names, used, func, args, kwargs)
        if func in BROADCASTS and len(args) == 2 and len(names) == 1:
            told = self._broadcast(names, func, args, kwargs)
            if told is not None:
                return told
        if func in COPIES and len(names) == 1 and id(args[0]) in names:
            told = self._copy(names, func, args, kwargs)
            if told is not None:
                return told
        result = func(*args, **kwargs)
        if not any(t.requires_grad for t in tensors_of(result)):
            # Its shape or type was asked for, or a copy that has no gradient.
            return result
        self._unknown(func, names)
        return result if self.weight_gradients else self._unrecorded(used, func, args, kwargs)

    def _unrecorded(self, used: Dict[int, str], func: Any, args: Any, kwargs: Dict[str, Any]) -> Any:
        """What a function gives without recording its parameters."""
        args, kwargs = without(used, args, kwargs)
        return attached(func(*args, **kwargs), self._anchor)

    def _use(self, names: Iterable[str], how: str) -> None:
        for name in names:
            before = self._uses.get(name)
            if before is not None:
                raise ValueError(
                    f"parameter {name}: found it used twice ({before}, {how}), expected once a forward pass: "
                    "the gradient's norm is not that of its parts (shared weights, or a checkpointed block)"
                )
            self._uses[name] = how

    def _layer(
        self,
        layer: Layer,
        names: Dict[int, str],
        used: Dict[int, str],
        func: Any,
        args: Any,
        kwargs: Dict[str, Any],
    ) -> Any:
        of_weight, of_bias = id(layer.weight) in names, id(layer.bias) in names
        if of_weight + of_bias < len(names):
            self._unknown(func, names)
            if not self.weight_gradients:
                return self._unrecorded(used, func, args, kwargs)
            return func(*args, **kwargs)
        how, x = resolve_name(func) or str(func), layer.x
        label = f"{how} of {', '.join(sorted(names.values()))}"
        self._use(names.values(), how)
        if x.is_floating_point():
            check(x, label)
        if self._samples is None:
            self._start(x.shape[0])
        if not self.weight_gradients:
            args, kwargs = without(used, args, kwargs)
        output = func(*args, **kwargs)
        if isinstance(output, torch.Tensor) and output._is_view():
            # A hook of a view does not see the gradient from before a change in place.
            output = output.clone()
        shared = None
        if x.shape[0] != self._samples:
            if x.shape[0] != 1 or not isinstance(output, torch.Tensor):
                found = f"{label}: found an input of shape {tuple(x.shape)}"
                raise ValueError(f"{found}, expected {self._samples} samples along the first axis")
            # One row for all samples, such as that of positions: each gets a copy.
            shared = (self._samples, *output.shape[1:])
            x = x.detach().expand(self._samples, *x.shape[1:])
        output = attached(output, self._anchor)
        if shared is not None:
            output = output.expand(shared)
        batch, version, add_layer = self._batch, layer.x._version, layer.add
        # Let go when the gradient has come by, as autograd lets go of what it saved.
        held = [x.detach(), layer.x]

        def add(dy: torch.Tensor) -> None:
            if not held:
                raise ValueError(f"{label}: found a second backward pass through one forward pass, expected one")
            own, changed = held
            held.clear()
            if changed._version != version:
                raise ValueError(f"{label}: found that its input was changed in place after it was used")
            check(dy, label)
            add_layer(self._sums, own, dy, of_weight, of_bias)

        output.register_hook(lambda dy: self._tell(batch, lambda: add(dy)))
        return output

    def _broadcast(self, names: Dict[int, str], func: Any, args: Any, kwargs: Dict[str, Any]) -> Any:
        place = next(i for i, value in enumerate(args) if id(value) in names)
        parameter, other = args[place], args[1 - place]
        if not isinstance(other, torch.Tensor) or self._samples is None:
            return None
        extra = other.dim() - parameter.dim()
        if other.dim() == 0 or other.shape[0] != self._samples or extra < 0:
            return None
        if extra == 0 and parameter.shape[0] != 1:
            return None
        shape = (1,) * extra + tuple(parameter.shape)
        each = self._leaf(parameter).view(shape).expand(self._samples, *shape[1:])
        self._use(names.values(), resolve_name(func) or str(func))
        self._sum_squares(each)
        values = list(args)
        values[place] = each
        return func(*values, **kwargs)

    def _copy(self, names: Dict[int, str], func: Any, args: Any, kwargs: Dict[str, Any]) -> Optional[torch.Tensor]:
        parameter = args[0]
        result = func(self._leaf(parameter), *args[1:], **kwargs)
        extra = result.dim() - parameter.dim()
        if self._samples is None or result.shape[0] != self._samples or extra not in (0, 1):
            return None
        own = tuple(parameter.shape) if extra else tuple(parameter.shape[1:])
        if tuple(result.shape[1:]) != own or (extra == 0 and parameter.shape[0] != 1):
            return None
        self._use(names.values(), "a copy for each sample")
        self._sum_squares(result)
        return result

    def _leaf(self, parameter: torch.Tensor) -> torch.Tensor:
        """The parameter, or the same values whose gradient nobody asks for."""
        return parameter if self.weight_gradients else parameter.detach().requires_grad_()

    def _sum_squares(self, each: torch.Tensor) -> None:
        """Adds the squares of the gradient of a tensor that holds a parameter for each sample."""
        batch = self._batch

        def add(gradient: torch.Tensor) -> None:
            squares = gradient.flatten(1).double().pow(2).sum(1)
            self._sums.add_squares(squares.cpu().numpy())

        each.register_hook(lambda gradient: self._tell(batch, lambda: add(gradient)))

    def _unknown(self, func: Any, names: Dict[int, str]) -> None:
        how = resolve_name(func) or getattr(func, "__name__", str(func))
        listed = ", ".join(sorted(names.values()))
        frame = self._stack.frames[-1] if self._stack.frames else None
        if self.fallback is None or frame is None:
            where = f" in {type(frame.module).__name__}" if frame else ""
            raise ValueError(
                f"parameter {listed}: found it used by {how}{where}, expected a layer whose norms are known; "
                'fallback="vmap" leaves this module to torch.func, layers=[...] leaves it out'
            )
        own = {id(parameter): name for name, parameter in frame.module.named_parameters()}
        for identity, name in names.items():
            if identity not in own:
                raise ValueError(f"parameter {name}: found it used by {how} in a module that does not have it")
            if own[identity] not in frame.unknown:
                self._use([name], how)
            frame.unknown.add(own[identity])


def _counted(watched: Dict[int, str], layers: Optional[Union[str, Iterable[str]]]) -> Set[int]:
    """The parameters whose gradients count, by identity."""
    if not watched:
        raise ValueError("model: found no trainable parameters, expected at least one")
    if layers is None:
        return set(watched)
    wanted = [layers] if isinstance(layers, str) else list(layers)
    counted: Set[int] = set()
    for prefix in wanted:
        own = {key for key, name in watched.items() if name == prefix or name.startswith(prefix + ".")}
        if not own:
            raise ValueError(f"layers: found {prefix!r}, expected a module or parameter with trainable parameters")
        counted |= own
    if not counted:
        raise ValueError("layers: found none, expected at least one")
    return counted
