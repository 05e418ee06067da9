"""Writes attention.npz: a small model of the recipe's parts in PyTorch, float64, for attention_test.go.

usage: attention.py OUT    (torch, numpy; twice the same bytes)

Two towers end in attention pooling and a linear layer and are compared by cosine; InfoNCE both ways; AdamW with decay
on matrices alone. The audio tower is convolutions with batch norm, zero after each clip's own frames after every ReLU
and every pool. Arrays have the names and the layout (channels last) of model.safetensors; "g " is a gradient, "w3 "
what three steps leave.
"""
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)
B, T, TAU = 4, 32, .07
LENGTHS = torch.tensor([32, 17, 9, 24])
STEP = dict(lr=1e-2, betas=(.9, .98), eps=1e-8)


class Audio(nn.Module):
    def __init__(self):
        super().__init__()
        ch, ks = (3, 4, 5, 6), (5, 9, 9)
        self.conv = nn.ModuleList(nn.Conv1d(ch[i], ch[i + 1], ks[i], 2 if i == 0 else 1, ks[i] // 2) for i in range(3))
        self.norm = nn.ModuleList(nn.BatchNorm1d(c) for c in ch[1:])
        self.score, self.out = nn.Linear(6, 1), nn.Linear(6, 3)

    def forward(self, x, n):
        keep = lambda x, n: x * (torch.arange(x.shape[2])[None] < n[:, None])[:, None]
        for i in range(3):
            if i == 0:
                n = (n + 1) // 2
            x = keep(F.relu(self.norm[i](self.conv[i](x))), n)
            if i < 2:
                n = (n + 1) // 2
                x = keep(F.max_pool1d(x, 3, 2, 1), n)
        x = x.transpose(1, 2)
        real = torch.arange(x.shape[1])[None] < n[:, None]
        w = self.score(x)[..., 0].masked_fill(~real, -torch.inf).softmax(1)
        return self.out((x * w[..., None]).sum(1))


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.score, self.out = nn.Linear(4, 5), nn.Linear(5, 1), nn.Linear(5, 3)

    def forward(self, x):
        y = F.relu(self.f(x))
        return self.out((y * self.score(y).softmax(1)).sum(1))


audio, image = Audio(), Image()
with torch.no_grad():  # weights that float32 holds
    for p in [*audio.parameters(), *image.parameters()]:
        p.add_(.1 * torch.randn(p.shape))
        p.copy_(p.float().double())
x, v = torch.randn(B, 3, T).float().double(), torch.randn(B, 6, 4).float().double()


def similarities():
    return F.normalize(image(v), dim=1) @ F.normalize(audio(x, LENGTHS), dim=1).t()


def named():
    pairs = [("image.linear", image.f), ("image.attention", image.score), ("image.embed", image.out)]
    pairs += [(f"audio.conv{i+1}", c) for i, c in enumerate(audio.conv)] + [(f"audio.norm{i+1}", c) for i, c in enumerate(audio.norm)]
    pairs += [("audio.attention", audio.score), ("audio.embed", audio.out)]
    for name, m in pairs:
        yield name + ".weight", m.weight
        yield name + ".bias", m.bias


def ours(name, t):
    t = t.detach()
    if t.dim() == 3:
        t = t.permute(2, 1, 0)
    elif t.dim() == 2:
        t = t.t()
    if name == "image.linear.weight":
        t = t[None, None]
    return t.contiguous().numpy().copy()


out = {"images": v.numpy().copy(), "audio": x.transpose(1, 2).contiguous().numpy(), "lengths": LENGTHS.double().numpy()}
params = dict(named())
out.update({n: ours(n, p) for n, p in params.items()})
matrices, vectors = [p for p in params.values() if p.dim() > 1], [p for p in params.values() if p.dim() < 2]
opt = torch.optim.AdamW([dict(params=matrices, weight_decay=.1), dict(params=vectors, weight_decay=0)], **STEP)
losses = []
for step in range(3):
    S = similarities()
    y = torch.arange(B)
    loss = .5 * (F.cross_entropy(S / TAU, y) + F.cross_entropy(S.t() / TAU, y))
    opt.zero_grad()
    loss.backward()
    losses.append(loss.item())
    if step == 0:
        out["S"] = S.detach().numpy().copy()
        out.update({"g " + n: ours(n, p.grad) for n, p in params.items()})
    opt.step()
out["losses"] = np.array(losses)
out.update({"w3 " + n: ours(n, p) for n, p in params.items()})
for i, m in enumerate(audio.norm):
    out[f"w3 audio.norm{i+1}.running_mean"], out[f"w3 audio.norm{i+1}.running_var"] = m.running_mean.numpy().copy(), m.running_var.numpy().copy()
audio.eval(), image.eval()
out["S eval"] = similarities().detach().numpy().copy()
np.savez(sys.argv[1], **out)
