"""The step of hearsight.yaml in PyTorch, float32: batch 128 of clips of 304 frames and feature maps of 7x7x1024, 36 places
of 49, AdamW. Prints a line of JSON: seconds on the clock and of all CPUs a step, medians and least, and GFLOP/s of the products as written.

usage: recipe_step.py [STEPS [THREADS [LAYOUT]]]

LAYOUT is how the convolutions lie in memory: conv1d, PyTorch's own, or last: as conv2d of one row, channels last.

internal/learn's BenchmarkStepRecipe is the same step here; scripts/bench-recipe.sh runs the two in turn.
"""
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

steps, threads = int(sys.argv[1]) if len(sys.argv) > 1 else 10, int(sys.argv[2]) if len(sys.argv) > 2 else 2
last = len(sys.argv) > 3 and sys.argv[3] == "last"
torch.set_num_threads(threads)
torch.manual_seed(0)
B, T, D = 128, 304, 512


class Audio(nn.Module):
    def __init__(self):
        super().__init__()
        ch, ks = (40, 128, 256, 384, 512), (5, 9, 9, 9)
        self.conv = nn.ModuleList(nn.Conv1d(ch[i], ch[i + 1], ks[i], 2 if i == 0 else 1, ks[i] // 2) for i in range(4))
        self.norm = nn.ModuleList(nn.BatchNorm1d(c) for c in ch[1:])
        self.drop, self.score, self.out = nn.Dropout(.4), nn.Linear(512, 1), nn.Linear(512, D)

    def convolve(self, x, c):
        if not last:
            return c(x)
        w = c.weight[:, :, None].contiguous(memory_format=torch.channels_last)
        return F.conv2d(x[:, :, None].contiguous(memory_format=torch.channels_last), w, c.bias, (1, c.stride[0]), (0, c.padding[0]))[:, :, 0]

    def forward(self, x, n):
        for i in range(4):
            x = F.relu(self.norm[i](self.convolve(x, self.conv[i])))
            if i == 0:
                n = (n + 1) // 2
            if i < 2:
                x, n = F.max_pool1d(x, 3, 2, 1), (n + 1) // 2
            real = torch.arange(x.shape[2])[None] < n[:, None]
            x = x * real[:, None]
        x = self.drop(x.transpose(1, 2))
        w = self.score(x)[..., 0].masked_fill(~real, -1e9).softmax(1)
        return self.out((x * w[..., None]).sum(1))


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.drop, self.score, self.out = nn.Linear(1024, 512), nn.Dropout(.5), nn.Linear(512, 1), nn.Linear(512, D)

    def forward(self, x):
        y = self.drop(F.relu(self.f(x)))
        return self.out((y * self.score(y).softmax(1)).sum(1))


audio, image = Audio(), Image()
params = [*audio.parameters(), *image.parameters()]
groups = [dict(params=[p for p in params if p.dim() > 1], weight_decay=.1), dict(params=[p for p in params if p.dim() < 2], weight_decay=0)]
opt = torch.optim.AdamW(groups, 2e-3, (.9, .98))
maps, clips, n, y = torch.randn(B, 49, 1024).half(), torch.randn(B, 40, T), torch.full((B,), T) - torch.arange(B) % 5, torch.arange(B)


def step():
    places = torch.randperm(49)[:36]
    S = F.normalize(image(maps[:, places].float()), dim=1) @ F.normalize(audio(clips, n), dim=1).t() / .07
    loss = .5 * (F.cross_entropy(S, y) + F.cross_entropy(S.t(), y))
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    return loss.item()


# Products and sums of convolutions and linear layers: forwards, for the weights and, but for the first layers, for the input.
first = 2 * B * (T // 2 * 5 * 40 * 128 + 36 * 1024 * 512)
flop = 2 * first + 3 * 2 * B * (T // 4 * 9 * 128 * 256 + T // 8 * 9 * (256 * 384 + 384 * 512) + 2 * 512 * D + B * D)

wall, cpu = [], []
for i in range(steps + 2):
    t, c = time.perf_counter(), time.process_time()
    step()
    if i >= 2:
        wall.append(time.perf_counter() - t)
        cpu.append(time.process_time() - c)
m, n = statistics.median(wall), statistics.median(cpu)
print(json.dumps({"who": "pytorch " + torch.__version__ + (", channels last" if last else ""), "s": round(m, 3), "cpu_s": round(n, 3), "gflop_per_s": round(flop / m / 1e9, 1),
                  "gflop_per_cpu_s": round(flop / n / 1e9, 1), "least_s": round(min(wall), 3), "least_cpu_s": round(min(cpu), 3)}))
