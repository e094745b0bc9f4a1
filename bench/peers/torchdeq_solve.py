#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The solves of bench/solve.c with PyTorch and TorchDEQ, for comparison.

Uses the packages `torch` and `torchdeq` of the Python that runs it (both are on the Python package
index).  Weights and inputs come from the generator of bench/harness.c and are scaled as in
bench/program.c, so both sides solve the same problem.  Prints one JSON record a measurement.

    bench/peers/torchdeq_solve.py --threads 2
"""
import argparse
import json
import statistics
import sys
import time

try:
    import numpy as np
    import torch
    from torchdeq import get_deq
except ImportError as error:
    sys.exit(f"this comparison needs the packages torch, torchdeq and numpy: {error}")


def floats(n):
    """bench_floats(): a linear congruential generator, in [-1, 1)."""
    a, c, m = 1664525, 1013904223, 2 ** 32
    out, seed = np.empty(n, dtype=np.float32), 12345
    for i in range(n):
        seed = (seed * a + c) % m
        out[i] = (seed >> 8) * 2.0 ** -23 - 1.0
    return out


def parameter(*shape):
    """fill_parameters(): scaled by 0.9^k until it is at most 1 / sqrt(fan in)."""
    count = int(np.prod(shape))
    fan, size = (count // shape[0] if len(shape) > 1 else 1), 1.0
    while size * size * fan > 1.0:
        size *= 0.9
    return torch.from_numpy(floats(count) * np.float32(size)).reshape(shape).requires_grad_()


class Dense(torch.nn.Module):
    shape = (128, 512)

    def __init__(self):
        super().__init__()
        self.w = [parameter(512, 512), parameter(512, 512), parameter(512)]

    def injected(self, x):
        return torch.nn.functional.linear(x, self.w[1], self.w[2])

    def f(self, z, u):
        return torch.tanh(torch.nn.functional.linear(z, self.w[0]) + u)


class Conv(torch.nn.Module):
    shape = (32, 64, 32, 32)

    def __init__(self):
        super().__init__()
        self.w = [parameter(64, 64, 3, 3) for _ in range(2)] + [parameter(64) for _ in range(6)]

    def injected(self, x):
        return x

    def f(self, z, x):
        conv, norm, w = torch.nn.functional.conv2d, torch.nn.functional.group_norm, self.w
        h = norm(torch.relu(conv(z, w[0], padding=1)), 8, w[2], w[3], 1e-5)
        h = norm(x + conv(h, w[1], padding=1), 8, w[4], w[5], 1e-5)
        return norm(torch.relu(z + h), 8, w[6], w[7], 1e-5)


def measure(body, seconds):
    body()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        body()
        times.append(time.perf_counter() - begin)
    return times


def one(model, solver, backward, channels_last, compiled, seconds):
    conv = isinstance(model, Conv)
    x = torch.from_numpy(floats(int(np.prod(model.shape)))).reshape(model.shape)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    limit, tol = (10, 0.0) if conv else (100, 1e-4)
    deq = get_deq(f_solver=solver, b_solver=solver, f_max_iter=limit, b_max_iter=limit, f_tol=tol,
                  b_tol=tol, ift=True)
    deq.train(backward)
    f = torch.compile(model.f) if compiled else model.f
    steps = []

    def body():
        with torch.set_grad_enabled(backward):
            u = model.injected(x)
            z, info = deq(lambda z: f(z, u), torch.zeros_like(x))
            steps.append(int(info["nstep"].max()))
            if backward:
                torch.autograd.grad(z[-1].sum(), model.w)

    times = measure(body, seconds)
    print(json.dumps({
        "case": "solve", "peer": "torchdeq", "cell": "conv" if conv else "dense",
        "name": solver + (" + IFT" if backward else ""), "threads": torch.get_num_threads(),
        "channels_last": channels_last, "compiled": compiled, "nstep": steps[-1],
        "median_s": statistics.median(times), "best_s": min(times), "repetitions": len(times),
        "torch": torch.__version__}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--compile", action="store_true", help="also try torch.compile")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for model in (Dense(), Conv()):
        for solver in ("fixed_point_iter", "anderson", "broyden"):
            for backward in (False, True):
                for channels_last in ((False, True) if isinstance(model, Conv) else (False,)):
                    for compiled in ((False, True) if arguments.compile else (False,)):
                        one(model, solver, backward, channels_last, compiled, arguments.seconds)


if __name__ == "__main__":
    main()
