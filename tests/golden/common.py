"""Networks, weights and images that Python and Rust build alike, without a file between them.

Every value is a few exactly rounded float32 operations on Philox words (Random123's
philox4x32-10, numbered as `src/rng.rs` numbers them), so both sides hold the same bits.
"""

import numpy as np
import torch
import torchvision
from torchvision.models.resnet import BasicBlock

STREAM = 1  # Stream::Init
WEIGHTS, VELOCITIES = 101, 102  # seeds

MEAN = np.array([0.5, 0.4375, 0.375], dtype=np.float32)
STD = np.array([0.25, 0.25, 0.1875], dtype=np.float32)


def words(seed, major, count):
    """The first `count` words of the line `major`."""
    blocks = (count + 3) // 4
    counter = [
        np.arange(blocks, dtype=np.uint64),
        np.full(blocks, major, dtype=np.uint64),
        np.zeros(blocks, dtype=np.uint64),
        np.full(blocks, STREAM, dtype=np.uint64),
    ]
    key, low = [seed, 0], np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a = counter[0] * np.uint64(0xD2511F53)
        b = counter[2] * np.uint64(0xCD9E8D57)
        shift = np.uint64(32)
        counter = [
            (b >> shift) ^ counter[1] ^ np.uint64(key[0]),
            b & low,
            (a >> shift) ^ counter[3] ^ np.uint64(key[1]),
            a & low,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(counter, 1).reshape(-1)[:count].astype(np.uint32)


def uniform(seed, major, shape):
    """Multiples of 2^-24 in [0, 1)."""
    count = int(np.prod(shape))
    values = (words(seed, major, count) >> 8).astype(np.float32) * np.float32(2.0**-24)
    return values.reshape(shape)


def tensor_names(network):
    """Parameters and running statistics, sorted; a tensor's place is its Philox line."""
    return sorted(n for n in network.state_dict() if not n.endswith("num_batches_tracked"))


def weights(network, scales, trunk=None):
    """Every tensor by name. `scales`: of running mean and variance, a batch norm each.

    Without `trunk`, ReLUs cut inside every channel. In a large network some of their millions of
    inputs are then within rounding of 0, float32 and float64 take different sides, and gradients
    differ visibly where nothing is wrong. With `trunk`, the name of the batch norm before each
    residual sum (any other where there is none), channels lie several deviations on one side of
    0: inner ones on either, those of the sums on the positive side.
    """
    state = network.state_dict()
    made = {}
    for line, name in enumerate(tensor_names(network)):
        shape = tuple(state[name].shape)
        u = uniform(WEIGHTS, line, shape)
        signed = np.float32(2) * u - np.float32(1)
        layer, kind = name.rsplit(".", 1)
        apart = trunk is not None and layer in scales
        if kind == "running_mean":
            value = np.float32(scales[layer][0]) * signed
        elif kind == "running_var":
            value = np.float32(scales[layer][1]) * (np.float32(0.5) + u)
        elif kind == "bias" and apart:
            inner = not layer.endswith((trunk, "downsample.1"))
            low = inner & (signed < 0)
            value = np.where(low, np.float32(-1.25), np.float32(0.75)) + np.float32(0.5) * u
        elif kind == "bias":
            value = np.float32(0.25) * signed
        elif len(shape) == 1 and apart:
            value = np.float32(0.125) + np.float32(0.125) * u
        elif len(shape) == 1:
            value = np.float32(0.75) + np.float32(0.5) * u
        else:
            fan_in = int(np.prod(shape[1:]))
            gain = 6.0 if len(shape) == 4 else 1.5
            value = np.float32(np.sqrt(gain / fan_in)) * signed
        made[name] = value.astype(np.float32)
    return made


def velocities(network):
    """Momentum buffers of every parameter."""
    parameters = dict(network.named_parameters())
    made = {}
    for line, name in enumerate(tensor_names(network)):
        if name in parameters:
            u = uniform(VELOCITIES, line, tuple(parameters[name].shape))
            made[name] = np.float32(2.0**-7) * (np.float32(2) * u - np.float32(1))
    return made


def images(count, size, seed):
    """u8 N H W 3: a colour an image, blocks of 8 x 8, and noise, so that images differ."""
    height, width = size
    rows, columns = (height + 7) // 8, (width + 7) // 8
    made = np.zeros((count, height, width, 3), dtype=np.uint8)
    for i in range(count):
        draws = words(seed, i, 3 + rows * columns * 3 + height * width * 3) >> 24
        colour, rest = draws[:3], draws[3:]
        blocks = rest[: rows * columns * 3].reshape(rows, columns, 3)
        noise = rest[rows * columns * 3 :].reshape(height, width, 3)
        spread = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
        made[i] = (2 * colour + spread + noise) >> 2
    return made


def labels(count, classes):
    return [(7 * i + i // 3) % classes for i in range(count)]


def normalise(pixels):
    """N 3 H W float32, rounded as the input pipeline rounds."""
    scaled = (pixels.astype(np.float32) / np.float32(255) - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))


class CifarResNet(torch.nn.Module):
    """He et al. 2016, section 4.2, with 1x1 projections: depth 6n + 2, widths w, 2w, 4w."""

    def __init__(self, depth, width, classes):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        channels = width
        for stage in range(3):
            blocks = []
            for block in range((depth - 2) // 6):
                out, stride = width << stage, 2 if stage > 0 and block == 0 else 1
                projection = None
                if stride != 1 or channels != out:
                    projection = torch.nn.Sequential(
                        torch.nn.Conv2d(channels, out, 1, stride, bias=False),
                        torch.nn.BatchNorm2d(out),
                    )
                blocks.append(BasicBlock(channels, out, stride, projection))
                channels = out
            setattr(self, f"layer{stage + 1}", torch.nn.Sequential(*blocks))
        self.fc = torch.nn.Linear(channels, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class CifarVgg(torch.nn.Module):
    """torchvision's convolutions of vgg16_bn and vgg19_bn, from `width` channels up, then a global
    average and one linear layer; at 32 x 32 the average is a flattening."""

    def __init__(self, depth, width, classes):
        super().__init__()
        cfg = torchvision.models.vgg.cfgs[{16: "D", 19: "E"}[depth]]
        cfg = [v if v == "M" else v * width // 64 for v in cfg]
        self.features = torchvision.models.vgg.make_layers(cfg, batch_norm=True)
        self.classifier = torch.nn.Linear(cfg[-2], classes)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class V1Bottleneck(torch.nn.Module):
    """The bottleneck of He et al. 2016 (table 1): the first 1x1 has the stride, where torchvision's
    (v1.5) has it in the 3x3. Names and shapes are torchvision's."""

    expansion = 4

    def __init__(self, inplanes, planes, stride=1, downsample=None, *_, **__):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inplanes, planes, 1, stride, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(planes)
        self.conv2 = torch.nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(planes)
        self.conv3 = torch.nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = torch.nn.BatchNorm2d(4 * planes)
        self.relu1, self.relu2, self.relu3 = (torch.nn.ReLU() for _ in range(3))
        self.downsample = downsample or torch.nn.Identity()

    def forward(self, x):
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        return self.relu3(self.bn3(self.conv3(y)) + self.downsample(x))


def build(arch, width, stem, classes):
    """The network a fairprune weight file of this description fits."""
    if arch.startswith("vgg"):
        return CifarVgg(int(arch.removeprefix("vgg")), width, classes)
    depth = int(arch.removeprefix("resnet").removesuffix("-v1"))
    if depth % 6 == 2 and depth not in (18, 34, 50):
        return CifarResNet(depth, width, classes)
    if arch == "resnet50-v1":
        network = torchvision.models.ResNet(V1Bottleneck, [3, 4, 6, 3], num_classes=classes)
    else:
        network = getattr(torchvision.models, arch)(num_classes=classes)
    assert width == 64, "torchvision's networks have one width"
    if stem == "cifar":
        network.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        network.maxpool = torch.nn.Identity()
    return network


def load(network, tensors):
    """Loads numpy tensors by name in the network's own precision."""
    with torch.no_grad():
        state = network.state_dict()
        for name, value in tensors.items():
            state[name].copy_(torch.from_numpy(value))
    return network
