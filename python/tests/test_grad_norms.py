"""Per-sample gradient norms against ``torch.func``: a gradient a sample, squared and summed."""

import gc
import weakref

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from fairprune.torch import GradNorms  # noqa: E402


def expected_norms(model, inputs, labels, names=None, loss=F.cross_entropy):
    """The norms by ``vmap(grad)``, one sample at a time in memory, in float64."""
    model = model.double()
    parameters = {k: v.detach() for k, v in model.named_parameters() if v.requires_grad}
    chosen = {k: v for k, v in parameters.items() if names is None or any(k.startswith(n) for n in names)}
    inputs = inputs.double() if inputs.is_floating_point() else inputs

    def objective(own, x, y):
        values = {**parameters, **own}
        return loss(torch.func.functional_call(model, values, (x.unsqueeze(0),)), y.unsqueeze(0))

    def squares(x, y):
        gradients = torch.func.grad(objective)(chosen, x, y)
        return sum(g.pow(2).sum() for g in gradients.values())

    norms = torch.func.vmap(squares, chunk_size=2)(inputs, labels).sqrt()
    model.float()
    return norms


def norms_one_by_one(model, inputs, labels):
    """The norms by a backward pass for each sample alone, in float64."""
    model = model.double()
    norms = []
    for x, y in zip(inputs.double(), labels):
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(x.unsqueeze(0)), y.unsqueeze(0)).backward()
        norms.append(sum(p.grad.pow(2).sum() for p in model.parameters()).sqrt())
    model.float()
    return torch.stack(norms)


def told_norms(model, inputs, labels, **options):
    with GradNorms(model, **options) as g:
        F.cross_entropy(model(inputs), labels, reduction="sum").backward()
        return g.norms()


def check(model, inputs, classes, tolerance=1e-5, oracle=expected_norms, **options):
    torch.manual_seed(1)
    labels = torch.randint(0, classes, (inputs.shape[0],))
    model.eval()
    expected = oracle(model, inputs, labels)
    for weight_gradients in (True, False):
        model.zero_grad(set_to_none=True)
        told = told_norms(model, inputs, labels, weight_gradients=weight_gradients, **options)
        assert told.dtype == torch.float32 and told.shape == (inputs.shape[0],)
        relative = ((told.double() - expected) / expected).abs().max().item()
        assert relative < tolerance, (weight_gradients, relative)
        trained = [p.grad is not None for p in model.parameters()]
        assert all(trained) if weight_gradients else not any(trained)
    return told


def images(n=3, channels=3, size=12, seed=0):
    torch.manual_seed(seed)
    return torch.randn(n, channels, size, size)


class Head(nn.Sequential):
    """Layers, then a mean over positions and a linear layer."""

    def __init__(self, *layers, features, classes=5):
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))


CONVOLUTIONS = {
    "3x3": dict(kernel_size=3, padding=1),
    "no bias": dict(kernel_size=3, padding=1, bias=False),
    "stride": dict(kernel_size=3, stride=2, padding=1),
    "uneven": dict(kernel_size=(5, 2), stride=(1, 2), padding=(0, 1)),
    "1x1": dict(kernel_size=1),
    "7x7": dict(kernel_size=7, stride=2, padding=3),
    "same": dict(kernel_size=4, padding="same"),
    "valid": dict(kernel_size=3, padding="valid"),
    "wide padding": dict(kernel_size=3, padding=4),
    "circular": dict(kernel_size=3, padding=1, padding_mode="circular"),
    "groups": dict(kernel_size=3, padding=1, groups=2),
    "depthwise": dict(kernel_size=3, padding=1, groups=8),
    "depthwise stride": dict(kernel_size=5, stride=2, padding=2, groups=8, bias=False),
    "multiplier": dict(kernel_size=3, padding=1, groups=8, out_channels=24),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_convolutions(name, memory_format):
    options = dict(out_channels=16, **CONVOLUTIONS[name]) if name != "multiplier" else CONVOLUTIONS[name]
    torch.manual_seed(2)
    model = Head(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, **options), nn.Tanh(), features=options["out_channels"])
    model = model.to(memory_format=memory_format)
    check(model, images().to(memory_format=memory_format), 5)


def test_dilated_convolutions_are_left_to_torch_or_refused():
    model = Head(nn.Conv2d(3, 8, 3, dilation=2), nn.ReLU(), features=8).eval()
    x, y = images(), torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"parameter 0\.bias, 0\.weight: found it used by .*conv2d in Conv2d"):
        told_norms(model, x, y)
    check(model, x, 5, fallback="vmap")


class Sequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6, padding_idx=2)
        self.place = nn.Embedding(7, 6)
        self.conv = nn.Conv1d(6, 8, 3, padding=1)
        self.norm = nn.LayerNorm(8)
        self.scale = nn.Parameter(torch.rand(8))
        self.start = nn.Parameter(torch.rand(1, 1, 8))
        self.shift = nn.Parameter(torch.rand(1, 8, 8))
        self.out = nn.Linear(8, 4)

    def forward(self, tokens):
        x = self.table(tokens) + self.place(torch.arange(tokens.shape[1]).unsqueeze(0))
        x = self.conv(x.transpose(1, 2)).transpose(1, 2)
        x = self.scale * self.norm(x)
        x = torch.cat([self.start.expand(x.shape[0], -1, -1), x], dim=1)
        return self.out(torch.tanh(x + self.shift)).mean(1)


def test_sequences_embeddings_and_parameters_of_all_samples():
    torch.manual_seed(3)
    model = Sequences()
    tokens = torch.randint(0, 4, (5, 7))
    check(model, tokens, 4)


NORMS = {
    "batch": lambda: nn.BatchNorm2d(8),
    "group": lambda: nn.GroupNorm(2, 8),
    "instance": lambda: nn.InstanceNorm2d(8, affine=True),
    "layer": lambda: nn.LayerNorm([8, 10, 10]),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_norms(name, memory_format):
    torch.manual_seed(4)
    norm = NORMS[name]()
    with torch.no_grad():
        for p in norm.parameters():
            p.uniform_(0.5, 1.5)
        if name == "batch":
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    model = Head(nn.Conv2d(3, 8, 3), norm, nn.ReLU(inplace=True), features=8).to(memory_format=memory_format)
    check(model, images(5).to(memory_format=memory_format), 5)


def test_in_place_functions_right_after_the_first_layer():
    model = Head(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.ReLU(inplace=True), features=8)
    check(model, images(), 5)


def test_the_same_samples_have_the_same_norms_in_every_batch_and_format():
    model = Head(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), features=8).eval()
    x, y = images(8), torch.arange(8) % 5
    whole = told_norms(model, x, y)
    parts = torch.cat([told_norms(model, x[i : i + 1], y[i : i + 1]) for i in range(8)])
    assert torch.allclose(whole, parts, rtol=1e-6)


def test_mean_losses_are_scaled_back():
    model = Head(nn.Conv2d(3, 8, 3), nn.ReLU(), features=8).eval()
    x, y = images(4), torch.arange(4)
    by_sum = told_norms(model, x, y)
    with GradNorms(model, reduction="mean") as g:
        F.cross_entropy(model(x), y).backward()
        assert torch.allclose(g.norms(), by_sum, rtol=1e-5)


def test_chosen_layers():
    model = Head(nn.Conv2d(3, 8, 3), nn.ReLU(), features=8).eval()
    x, y = images(4), torch.arange(4)
    expected = expected_norms(model, x, y, names=["4"])
    for weight_gradients in (True, False):
        told = told_norms(model, x, y, layers=["4"], weight_gradients=weight_gradients)
        assert torch.allclose(told.double(), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="layers: found 'nothing'"):
        GradNorms(model, layers=["nothing"])


def test_bfloat16_within_its_rounding():
    torch.manual_seed(5)
    model = Head(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), features=16).eval()
    x, y = images(6), torch.arange(6) % 5
    exact = told_norms(model, x, y)
    half = told_norms(model.bfloat16(), x.bfloat16(), y)
    assert ((half - exact) / exact).abs().max() < 0.03
    model.float()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = told_norms(model, x, y)
    assert ((mixed - exact) / exact).abs().max() < 0.03


def test_batches_follow_each_other_under_one_context():
    model = Head(nn.Conv2d(3, 8, 3), nn.ReLU(), features=8).eval()
    batches = [(images(n, seed=n), torch.arange(n)) for n in (4, 4, 3)]
    alone = [told_norms(model, x, y) for x, y in batches]
    with GradNorms(model) as g:
        for (x, y), expected in zip(batches, alone):
            F.cross_entropy(model(x), y, reduction="sum").backward()
            assert torch.equal(g.norms(), expected)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 3)

    def forward(self, x):
        return self.b(self.a(self.a(x)))


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, x):
        return x @ self.weight


def test_what_is_not_known_is_refused_by_name():
    x, y = torch.randn(3, 4), torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"parameter a\.weight: found it used twice"):
        told_norms(Shared(), x, y)
    with pytest.raises(ValueError, match=r"parameter weight: found it used by .*matmul in Odd"):
        told_norms(Odd(), x, y)
    check(Odd(), x, 3, fallback="vmap")
    train = Head(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), features=8).train()
    with pytest.raises(ValueError, match="model.eval()"):
        told_norms(train, images(), y)
    with pytest.raises(ValueError, match="found values of torch.float64"):
        told_norms(nn.Linear(4, 3).double(), x.double(), y)
    with pytest.raises(ValueError, match="no backward pass"):
        with GradNorms(nn.Linear(4, 3)) as g:
            g.norms()
    frozen = nn.Linear(4, 3).requires_grad_(False)
    with pytest.raises(ValueError, match="no trainable parameters"):
        GradNorms(frozen)
    with pytest.raises(ValueError, match="compiled or scripted"):
        GradNorms(torch.jit.script(nn.Linear(4, 3)))


class Rows(nn.Module):
    """Loses the samples' axis."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x.reshape(-1, 4)).reshape(x.shape[0], -1, 3).mean(1)


def test_tensors_without_the_samples_first_are_refused():
    with pytest.raises(ValueError, match=r"found an input of shape \(6, 4\), expected 3 samples"):
        told_norms(Rows(), torch.randn(3, 2, 4), torch.zeros(3, dtype=torch.long))


def test_an_empty_batch_has_no_norms():
    model = Head(nn.Conv2d(3, 8, 3), nn.ReLU(), features=8).eval()
    x = torch.zeros(0, 3, 12, 12)
    with GradNorms(model) as g:
        F.cross_entropy(model(x), torch.zeros(0, dtype=torch.long), reduction="sum").backward()
        assert g.norms().shape == (0,)


def test_a_backward_pass_of_an_earlier_batch_is_refused():
    model = nn.Linear(4, 3)
    with GradNorms(model):
        first = model(torch.randn(2, 4)).sum()
        model(torch.randn(2, 4))
        with pytest.raises(ValueError, match="earlier forward pass"):
            first.backward()


def test_a_second_backward_pass_is_refused():
    model = nn.Linear(4, 3)
    with GradNorms(model):
        loss = model(torch.randn(2, 4)).sum()
        loss.backward(retain_graph=True)
        with pytest.raises(ValueError, match="second backward pass"):
            loss.backward()


def test_inputs_are_let_go_when_their_gradients_have_come_by():
    model = Head(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 8, 3), nn.ReLU(), features=8).eval()
    inputs = []
    model[2].register_forward_pre_hook(lambda module, args: inputs.append(weakref.ref(args[0])))
    with GradNorms(model):
        loss = F.cross_entropy(model(images()), torch.arange(3), reduction="sum")
        assert inputs[0]() is not None
        loss.backward()
        gc.collect()
        # The graph is still there, through its loss.
        assert loss.grad_fn is not None and inputs[0]() is None


def test_the_model_is_as_before():
    model = Head(nn.Conv2d(3, 8, 3), nn.ReLU(), features=8).eval()
    x = images()
    before = model(x)
    told_norms(model, x, torch.zeros(3, dtype=torch.long))
    assert torch.equal(model(x), before)
    assert not model._forward_hooks and not model[0]._forward_pre_hooks


torchvision = pytest.importorskip("torchvision")

NETWORKS = {
    "resnet18": (64, None),
    "resnet50": (64, None),
    "mobilenet_v2": (64, None),
    "vgg16_bn": (32, None),
    "convnext_tiny": (64, None),
    "vit_b_16": (32, "vmap"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_torchvision(name):
    size, fallback = NETWORKS[name]
    options = dict(image_size=size) if name == "vit_b_16" else {}
    torch.manual_seed(6)
    model = getattr(torchvision.models, name)(num_classes=10, **options)
    for module in model.modules():
        # Fresh statistics say nothing: they become those of some images.
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    # A gradient a sample is what vmap(grad) computes; for large networks it takes a minute.
    oracle = expected_norms if name == "resnet18" else norms_one_by_one
    check(model, images(2, size=size), 10, oracle=oracle, fallback=fallback)


def test_inputs_that_have_to_be_copied_live_until_they_are_read():
    """Sequences that are no views of rows, so that their copies belong to nobody else."""
    torch.manual_seed(7)

    class Transposed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.norm, self.b = nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 5)

        def forward(self, x):
            x = self.a(x.permute(0, 2, 3, 1)).permute(0, 2, 1, 3)
            x = self.norm(x[:, ::2])
            return self.b(x.permute(0, 2, 1, 3)).mean((1, 2))

    check(Transposed(), torch.randn(4, 6, 8, 10), 5)
