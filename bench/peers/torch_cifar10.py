#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains the small multiscale model on CIFAR-10 with PyTorch and TorchDEQ, as `deq train` would.

Same weights to begin with (--weights, a checkpoint of `deq`), same batches in the same order, same
dropout masks, same optimiser, schedule and budgets: all that bench/results/cifar10.sh sets.  What
differs is who computes, and the solver of the adjoint system: TorchDEQ has no linear one, so its
Anderson takes as many products as our GMRES.

Uses the packages `torch` and `torchdeq` of the Python that runs it (both are on the Python package
index).  Prints one JSON record: accuracy, evaluations of f and residual |f(z) - z| on the test images;
seconds a step, the median of those behind the unrolled and two more; the process' peak memory, and its
growth over what there was with packages, model and data loaded.

    bench/peers/torch_cifar10.py --data cifar-10-batches-bin --weights initial.safetensors \\
        --estimator phantom --steps 100 --unrolled 30 --threads 1
"""
import argparse
import json
import math
import pathlib
import resource
import statistics
import struct
import sys
import time

try:
    import numpy
    import torch
    from torch import nn
    from torch.nn import functional
    from torchdeq import get_deq
    from torchdeq.loss import jac_reg
    from torchdeq.solver import broyden
except ImportError as error:
    sys.exit(f"this comparison needs the packages torch and torchdeq: {error}")

BATCH, TEST_BATCH, EVALUATIONS, PRODUCTS, LAYERS = 50, 100, 12, 12, 6
RATE, TOLERANCE, DROPOUT, WEIGHT, FALLBACK = 1e-3, 1e-3, 0.25, 0.5, 1.3
CHANNELS, EXPANSION, GROUPS, HEAD, FINAL, CLASSES = 24, 5, 8, (8, 16), 200, 10
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


# Random numbers: src/base/philox.c, src/data/{draws,order}.c and src/tensor/random.c again, so that
# both programs draw the same.

U32 = numpy.uint64(0xFFFFFFFF)


def philox(counter, key):
    """Philox4x32-10 on arrays [4, n] of counters: words [4, n]."""
    c = [numpy.asarray(x, dtype=numpy.uint64) for x in counter]
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c[0] * numpy.uint64(0xD2511F53), c[2] * numpy.uint64(0xCD9E8D57)
        c = [p1 >> numpy.uint64(32) ^ c[1] ^ numpy.uint64(k0), p1 & U32,
             p0 >> numpy.uint64(32) ^ c[3] ^ numpy.uint64(k1), p0 & U32]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def words(count, seed, step, stream):
    """The first words of a stream; its key and nonce are a draw themselves."""
    low, high = lambda x: x & 0xFFFFFFFF, lambda x: x >> 32
    head = philox([[low(step)], [high(step)], [low(stream)], [high(stream)]], (low(seed), high(seed)))
    k0, k1, n0, n1 = (int(x[0]) for x in head)
    blocks = numpy.arange((count + 3) // 4, dtype=numpy.uint64)
    same = numpy.ones_like(blocks)
    drawn = philox([blocks, 0 * same, numpy.uint64(n0) * same, numpy.uint64(n1) * same], (k0, k1))
    return numpy.stack(drawn, 1).reshape(-1)[:count]


def order_of(count, seed, epoch):
    """Durstenfeld's shuffle; an index below n is floor(w n / 2^32), words of the uneven rest drawn again."""
    order = list(range(count))
    stream = iter(int(w) for w in words(count + 64, seed, epoch, 0xD3 << 56))
    for i in range(count - 1, 0, -1):
        product = next(stream) * (i + 1)
        while product & 0xFFFFFFFF < 2**32 % (i + 1):
            product = next(stream) * (i + 1)
        j = product >> 32
        order[i], order[j] = order[j], order[i]
    return order


def name_stream(name):
    """The stream of a layer's draws: FNV-1a of its kind and name, finished as splitmix64 does."""
    h = 0xCBF29CE484222325
    for byte in b"layer" + b"\xff" + name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    h = (h ^ h >> 27) * 0x94D049BB133111EB % 2**64
    return (h ^ h >> 31) >> 2


def bernoulli(count, probability, seed, step, stream):
    return words(count, seed, step, stream) < probability * 2.0**32


# Files.

def read_images(folder, pattern, count=None):
    """[N, 3, 32, 32] bytes and labels."""
    paths = sorted(pathlib.Path(folder).glob(pattern))
    if not paths:
        sys.exit(f"{folder}: holds no {pattern}")
    data = numpy.concatenate([numpy.fromfile(path, dtype=numpy.uint8) for path in paths])
    data = torch.from_numpy(data.reshape(-1, 3073)[:count])
    return data[:, 1:].reshape(-1, 3, 32, 32).contiguous(), data[:, 0].long()


def read_safetensors(path):
    """Eight bytes of length, JSON that says where tensors are, tensors."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    values = data[8 + length:]
    tensors = {}
    for name, t in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        first, last = t["data_offsets"]
        tensors[name] = torch.frombuffer(bytearray(values[first:last]),
                                         dtype={"F32": torch.float32}[t["dtype"]]).reshape(t["shape"])
    return tensors


def load_weights(model, path):
    """Parameters only: averages of batch normalisation begin at 0 and 1."""
    averages = ("running_mean", "running_var", "num_batches_tracked")
    weights = {name.removeprefix("model."): tensor for name, tensor in read_safetensors(path).items()
               if name.startswith("model.") and not name.endswith(averages)}
    unread = model.load_state_dict(weights, strict=False)
    missing = [name for name in unread.missing_keys if not name.endswith(averages)]
    if missing or unread.unexpected_keys:
        sys.exit(f"{path}: without {missing}, with {unread.unexpected_keys}")


# The model: src/model/multiscale_cell.c and multiscale_head.c; modules are named as published.

class NormedConv(nn.Module):
    """A convolution's weight with weight normalisation; computed once a solve."""

    def __init__(self, channels, out, kernel):
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(out, 1, 1, 1))
        self.weight_v = nn.Parameter(torch.zeros(out, channels, kernel, kernel))

    def weight(self):
        return torch._weight_norm(self.weight_v, self.weight_g, 0)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        inner = EXPANSION * CHANNELS
        self.conv1, self.conv2 = NormedConv(CHANNELS, inner, 3), NormedConv(inner, CHANNELS, 3)
        self.gn1 = nn.GroupNorm(GROUPS, inner)
        self.gn2, self.gn3 = nn.GroupNorm(GROUPS, CHANNELS), nn.GroupNorm(GROUPS, CHANNELS)

    def forward(self, z, x, w1, w2, mask):
        h = torch.relu_(self.gn1(functional.conv2d(z, w1, padding=1)))
        h = functional.conv2d(h, w2, padding=1)
        h = h if mask is None else h * mask
        h = self.gn2(h if x is None else h + x) + z
        return self.gn3(torch.relu_(h))


def fusion(kernel, stride):
    return nn.ModuleDict({
        "conv": nn.Conv2d(CHANNELS, CHANNELS, kernel, stride=stride, padding=kernel // 2, bias=False),
        "gnorm": nn.GroupNorm(GROUPS, CHANNELS)})


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList([nn.ModuleDict({"blocks": nn.ModuleList([Block()])})
                                       for _ in range(2)])
        up, down = fusion(1, 1), nn.ModuleDict({"0": fusion(3, 2)})
        self.fuse_layers = nn.ModuleDict({"0": nn.ModuleDict({"1": nn.ModuleDict({"net": up})}),
                                          "1": nn.ModuleDict({"0": nn.ModuleDict({"net": down})})})
        self.post_fuse_layers = nn.ModuleList(
            [nn.ModuleDict({"conv": NormedConv(CHANNELS, CHANNELS, 1)}) for _ in range(2)])
        self.post_norm = nn.GroupNorm(GROUPS // 2, CHANNELS, affine=False)

    def masks(self, count, seed, step):
        """The two dropout masks, one factor a channel."""
        drawn = [bernoulli(count * CHANNELS, 1 - DROPOUT, seed, step,
                           name_stream(f"fullstage.branches.{i}.blocks.0.drop")) for i in range(2)]
        return [torch.from_numpy(keep).float().reshape(count, CHANNELS, 1, 1) / (1 - DROPOUT)
                for keep in drawn]

    def map(self, x, masks):
        """f, its weights normalised."""
        first, second = (branch["blocks"][0] for branch in self.branches)
        w = [[block.conv1.weight(), block.conv2.weight()] for block in (first, second)]
        post = [layer["conv"].weight() for layer in self.post_fuse_layers]
        up, down = self.fuse_layers["0"]["1"]["net"], self.fuse_layers["1"]["0"]["net"]["0"]

        def f(fine, coarse):
            a, b = first(fine, x, *w[0], masks[0]), second(coarse, None, *w[1], masks[1])
            from_b = functional.interpolate(up["gnorm"](up["conv"](b)), scale_factor=2, mode="nearest")
            from_a = down["gnorm"](down["conv"](a))
            return (self.post_norm(functional.conv2d(torch.relu_(a + from_b), post[0])),
                    self.post_norm(functional.conv2d(torch.relu_(b + from_a), post[1])))

        return f


class Bottleneck(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(CHANNELS, h, 1, bias=False), nn.BatchNorm2d(h, affine=False)
        self.conv2, self.bn2 = nn.Conv2d(h, h, 3, padding=1, bias=False), nn.BatchNorm2d(h, affine=False)
        self.conv3, self.bn3 = nn.Conv2d(h, 4 * h, 1, bias=False), nn.BatchNorm2d(4 * h, affine=False)
        self.downsample = nn.Sequential(nn.Conv2d(CHANNELS, 4 * h, 1, bias=False), nn.BatchNorm2d(4 * h))

    def forward(self, z):
        h = torch.relu_(self.bn1(self.conv1(z)))
        h = torch.relu_(self.bn2(self.conv2(h)))
        return torch.relu_(self.bn3(self.conv3(h)) + self.downsample(z))


class Model(nn.Module):
    def __init__(self, estimator):
        super().__init__()
        self.downsample = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU(True),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS),
            nn.ReLU(True))
        self.fullstage = Cell()
        self.incre_modules = nn.ModuleList([nn.Sequential(Bottleneck(h)) for h in HEAD])
        self.downsamp_modules = nn.ModuleList([nn.Sequential(
            nn.Conv2d(4 * HEAD[0], 4 * HEAD[1], 3, stride=2, padding=1), nn.BatchNorm2d(4 * HEAD[1]),
            nn.ReLU(True))])
        self.final_layer = nn.Sequential(nn.Conv2d(4 * HEAD[1], FINAL, 1), nn.BatchNorm2d(FINAL),
                                         nn.ReLU(True))
        self.classifier = nn.Linear(FINAL, CLASSES)
        self.deq, self.calls = equilibrium(estimator), 0

    def head(self, fine, coarse):
        y = self.incre_modules[1](coarse) + self.downsamp_modules[0](self.incre_modules[0](fine))
        return self.classifier(self.final_layer(y).mean((2, 3)))

    def forward(self, images, masks=(None, None), unrolled=False):
        """Logits, the state that the head sees, f, and the solver's report."""
        x = self.downsample(images)
        f = self.fullstage.map(x, masks)
        count, _, height, width = x.shape
        z = (torch.zeros_like(x), x.new_zeros(count, CHANNELS, height // 2, width // 2))
        self.calls, report = 0, None

        def counted(*state):
            self.calls += 1
            return f(*state)

        if unrolled:
            for _ in range(LAYERS):
                z = f(*z)
        else:
            states, report = self.deq(counted, z)
            z = states[-1]
        return self.head(*z), z, f, report


# Estimators of the gradient.

class Shine:
    """SHINE (Ramzi et al. 2022), which TorchDEQ has not: u = -w B with the forward solve's
    B = -I + U V', or w where |u| > FALLBACK |w|.  The solver is TorchDEQ's, which hands its factors
    to nobody but its own products; they are taken from there."""

    def solve(self, func, x0, **options):
        product = broyden.matvec

        def matvec(u, vt, x):
            self.u, self.vt = u, vt
            return product(u, vt, x)

        broyden.matvec = matvec
        try:
            z, states, report = broyden.broyden_solver(func, x0, **options)
        finally:
            broyden.matvec = product
        self.pairs = report["nstep"] - 1  # those that led to the state returned
        return z, states, report

    def gradient(self, _, func, z, **unused):
        u, vt, pairs = self.u, self.vt, self.pairs
        self.u = self.vt = None  # backward frees them
        fz = func(z)

        def estimate(w):
            known = torch.arange(vt.shape[1])[None, :, None] < pairs[:, None, None]
            found = -broyden.rmatvec(u, vt * known, w)
            keep = found.norm(dim=1, keepdim=True) <= FALLBACK * w.norm(dim=1, keepdim=True)
            return torch.where(keep, found, w)

        fz.register_hook(estimate)
        return [fz]


def equilibrium(estimator):
    """TorchDEQ's equilibrium with our budget; its Broyden evaluates f once more than it is told."""
    method = "broyden" if estimator == "shine" else "anderson"
    deq = get_deq(f_solver=method, f_max_iter=EVALUATIONS - (method == "broyden"), f_tol=TOLERANCE,
                  f_stop_mode="rel", b_solver="anderson", b_max_iter=PRODUCTS, b_tol=TOLERANCE,
                  b_stop_mode="rel", ift=estimator == "ift-function", hook_ift=estimator == "ift",
                  grad=5 if estimator == "phantom" else 1, tau=0.5 if estimator == "phantom" else 1.0)
    if estimator == "shine":
        shine = Shine()
        deq.f_solver, deq.produce_grad = shine.solve, [shine.gradient]
    return deq


def penalty(f, state):
    """TorchDEQ's |eps' J|^2 / elements at the held state."""
    z = torch.cat([part.detach().flatten(1) for part in state], 1).requires_grad_()
    parts = z.split([part[0].numel() for part in state], 1)
    fz = f(*(part.reshape(like.shape) for part, like in zip(parts, state)))
    return jac_reg(torch.cat([part.flatten(1) for part in fz], 1), z)


# Training and evaluation.

class Run:
    def __init__(self, options):
        self.o = options
        torch.manual_seed(options.seed)  # for the probes of the penalty; nothing else draws from it
        self.layout = torch.channels_last if options.channels_last else torch.contiguous_format
        self.model = Model(options.estimator)
        load_weights(self.model, options.weights)
        self.model = self.model.to(memory_format=self.layout)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=RATE)
        self.mean, self.deviation = (torch.tensor(x).reshape(1, 3, 1, 1) for x in (MEAN, DEVIATION))
        self.train = read_images(options.data, "data_batch_*.bin")
        self.test = read_images(options.data, "test_batch.bin", options.test_count)
        self.batches, self.order = len(self.train[1]) // BATCH, None

    def batch(self, step):
        if step % self.batches == 0 or self.order is None:
            self.order = order_of(len(self.train[1]), self.o.seed, step // self.batches)
        at = step % self.batches * BATCH
        index = torch.tensor(self.order[at:at + BATCH])
        return self.images(self.train[0][index]), self.train[1][index]

    def images(self, pixels):
        x = (pixels.float() / 255 - self.mean) / self.deviation
        return x.contiguous(memory_format=self.layout)

    def is_penalised(self, step):
        p = self.o.penalty
        return p > 0 and (p >= 1 or bool(bernoulli(1, p, self.o.seed, step, 0)[0]))

    def step(self, step):
        unrolled = step < self.o.unrolled
        images, labels = self.batch(step)
        masks = self.model.fullstage.masks(BATCH, self.o.seed, step)
        logits, state, f, _ = self.model(images, masks, unrolled)
        loss = functional.cross_entropy(logits, labels)
        total = loss
        if not unrolled and self.is_penalised(step):
            total = loss + WEIGHT * penalty(f, state)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / self.o.steps))
        self.optimiser.step()
        return loss.item()

    def evaluate(self):
        self.model.eval()
        pixels, labels = self.test
        right = calls = residual = 0
        with torch.no_grad():
            for first in range(0, len(labels), TEST_BATCH):
                part = slice(first, first + TEST_BATCH)
                logits, _, _, report = self.model(self.images(pixels[part]))
                right += (logits.argmax(1) == labels[part]).sum().item()
                calls += self.model.calls * len(logits)
                residual += report["abs_lowest"].sum().item()
        self.model.train()
        return {"accuracy": right / len(labels), "n_feval": calls / len(labels),
                "residual": residual / len(labels), "examples": len(labels)}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def train(options):
    run = Run(options)
    run.model.train()
    before, seconds, losses = peak(), [], []
    for step in range(options.steps):
        begin = time.perf_counter()
        losses.append(run.step(step))
        seconds.append(time.perf_counter() - begin)
        if options.verbose:
            print(json.dumps({"step": step + 1, "loss": losses[-1], "seconds": seconds[-1]}),
                  file=sys.stderr, flush=True)
    after = peak()
    print(json.dumps({
        "peer": "torchdeq", "estimator": options.estimator, "penalty": options.penalty,
        "steps": options.steps, "unrolled": options.unrolled, **run.evaluate(),
        "first_loss": losses[0], "last_loss": losses[-1],
        "median_s": statistics.median(seconds[options.unrolled + 2:] or seconds),
        "peak_mb": after / 1e6, "growth_mb": (after - before) / 1e6,
        "threads": torch.get_num_threads(), "channels_last": options.channels_last,
        "parameters": sum(p.numel() for p in run.model.parameters()), "torch": torch.__version__},
        separators=(",", ":")), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="the folder of data_batch_1.bin, ...")
    parser.add_argument("--weights", required=True, help="a checkpoint of deq, to start from")
    parser.add_argument("--estimator", default="ift",
                        choices=("ift", "ift-function", "phantom", "jfb", "shine"),
                        help="ift by TorchDEQ's hook_ift, the leaner form, or by its autograd function")
    parser.add_argument("--penalty", type=float, default=0, metavar="P",
                        help=f"probability of the Jacobian penalty (weight {WEIGHT}) in a step")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--unrolled", type=int, default=30, help="first steps by an unrolled network")
    parser.add_argument("--test-count", type=int, help="test images; default: all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--verbose", action="store_true", help="loss and time of every step, on stderr")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options)


if __name__ == "__main__":
    main()
