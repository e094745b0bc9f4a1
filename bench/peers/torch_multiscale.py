#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The model of bench/multiscale.c with PyTorch and TorchDEQ, for comparison.

Uses the packages `torch` and `torchdeq` of the Python that runs it (both are on the Python package
index).  The cell is written down from the equations in src/model/multiscale_cell.c.  Prints one JSON
record a measurement: seconds, and the growth of the process' peak memory over what it took after
making the model.  Each measurement runs in a process of its own, so that its peak is its own.

    bench/peers/torch_multiscale.py --threads 2
"""
import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional
    from torchdeq import get_deq
except ImportError as error:
    sys.exit(f"this comparison needs the packages torch and torchdeq: {error}")

BATCH, PLANE, CHANNELS, EXPANSION, GROUPS, EVALUATIONS = 32, 32, 24, 5, 8, 23


def normed(*arguments, **options):
    return nn.utils.parametrizations.weight_norm(nn.Conv2d(*arguments, bias=False, **options))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        inner = EXPANSION * CHANNELS
        self.conv1, self.conv2 = normed(CHANNELS, inner, 3, padding=1), normed(inner, CHANNELS, 3, padding=1)
        self.gn1 = nn.GroupNorm(GROUPS, inner)
        self.gn2, self.gn3 = nn.GroupNorm(GROUPS, CHANNELS), nn.GroupNorm(GROUPS, CHANNELS)

    def weights(self):
        return self.conv1.weight, self.conv2.weight

    def forward(self, z, x, w, mask):
        h = torch.relu(self.gn1(functional.conv2d(z, w[0], padding=1)))
        h = functional.conv2d(h, w[1], padding=1)
        h = self.gn2((h if mask is None else h * mask) + x) + z
        return self.gn3(torch.relu(h))


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.up = nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False)
        self.down = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, CHANNELS) for _ in range(2)])
        self.post = nn.ModuleList([normed(CHANNELS, CHANNELS, 1) for _ in range(2)])
        self.post_norms = nn.ModuleList(
            [nn.GroupNorm(GROUPS // 2, CHANNELS, affine=False) for _ in range(2)])

    def prepare(self, x, training):
        """Weights and masks once a solve; the map."""
        w = [block.weights() for block in self.blocks] + [post.weight for post in self.post]
        masks = [torch.bernoulli(torch.full((BATCH, CHANNELS, 1, 1), 0.75)) / 0.75
                 if training else None for _ in range(2)]

        def f(fine, coarse):
            a = self.blocks[0](fine, x, w[0], masks[0])
            b = self.blocks[1](coarse, 0, w[1], masks[1])
            up = functional.interpolate(self.norms[0](self.up(b)), scale_factor=2, mode="nearest")
            down = self.norms[1](self.down(a))
            return (self.post_norms[0](functional.conv2d(torch.relu(a + up), w[2])),
                    self.post_norms[1](functional.conv2d(torch.relu(b + down), w[3])))

        return f


class Bottleneck(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(CHANNELS, h, 1, bias=False), nn.BatchNorm2d(h, affine=False), nn.ReLU(),
            nn.Conv2d(h, h, 3, padding=1, bias=False), nn.BatchNorm2d(h, affine=False), nn.ReLU(),
            nn.Conv2d(h, 4 * h, 1, bias=False), nn.BatchNorm2d(4 * h, affine=False))
        self.shortcut = nn.Sequential(nn.Conv2d(CHANNELS, 4 * h, 1, bias=False),
                                      nn.BatchNorm2d(4 * h))

    def forward(self, z):
        return torch.relu(self.body(z) + self.shortcut(z))


class Model(nn.Module):
    def __init__(self, solver, ift, steps):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU())
        self.cell = Cell()
        self.heads = nn.ModuleList([Bottleneck(8), Bottleneck(16)])
        self.join = nn.Sequential(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        self.final = nn.Sequential(nn.Conv2d(64, 200, 1), nn.BatchNorm2d(200), nn.ReLU())
        self.classifier = nn.Linear(200, 10)
        self.deq = get_deq(f_solver=solver, b_solver=solver, f_max_iter=EVALUATIONS, b_max_iter=20,
                           f_tol=0.0, b_tol=0.0, ift=ift, grad=1 if ift else steps, tau=0.5)

    def forward(self, images):
        x = self.stem(images)
        f = self.cell.prepare(x, self.training)
        start = (torch.zeros_like(x), torch.zeros(BATCH, CHANNELS, PLANE // 2, PLANE // 2))
        states, _ = self.deq(f, start)
        fine, coarse = states[-1]
        y = self.heads[1](coarse) + self.join(self.heads[0](fine))
        return self.classifier(self.final(y).mean((2, 3)))


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def one(name, solver, channels_last, seconds):
    torch.manual_seed(1)
    model = Model(solver, name == "implicit", 5)
    images = torch.randn(BATCH, 3, PLANE, PLANE)
    labels = torch.zeros(BATCH, dtype=torch.int64)
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.contiguous(
            memory_format=torch.channels_last)
    model.train(name != "forward")
    before = peak()

    def body():
        if name == "forward":
            with torch.no_grad():
                model(images)
            return
        loss = functional.cross_entropy(model(images), labels)
        torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)

    body()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        body()
        times.append(time.perf_counter() - begin)
    print(json.dumps({
        "case": "multiscale", "peer": "torchdeq", "name": name, "solver": solver,
        "threads": torch.get_num_threads(), "channels_last": channels_last,
        "median_s": statistics.median(times), "best_s": min(times), "repetitions": len(times),
        "memory_mb": (peak() - before) / 1e6, "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--one", nargs=3, metavar=("NAME", "SOLVER", "LAST"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.one:
        name, solver, last = arguments.one
        one(name, solver, last == "1", arguments.seconds)
        return
    for name in ("forward", "implicit", "phantom"):
        for solver in ("anderson", "broyden"):
            for last in ("0", "1"):
                subprocess.run([sys.executable, __file__, "--threads", str(arguments.threads),
                                "--seconds", str(arguments.seconds), "--one", name, solver, last],
                               check=True)


if __name__ == "__main__":
    main()
