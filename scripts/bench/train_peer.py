"""Row VGG16_5 of the paper's table trained in PyTorch, float32, as a researcher would write it down: a 3x3 convolution on VGG16's feature maps,
five convolutions over 1,024 frames of MFCC, MISA, the mean hinge loss over all impostors of a minibatch, Adam (.5, .9), rate 1e-4.

usage: train_peer.py --pairs DIR --mfcc DIR --features DIR --start DIR --order FILE --steps N [--threads 2] [--double] [--out FILE]

The folders are results of our stages as `hearsight get` copies them, start is the untrained model; FILE has the ids of the captions of each step, a
JSON array a line, as `benchmark order` prints them. The data are read with pyarrow and lie in memory; the padded clips do not. Prints a line of JSON:
seconds on the clock and of all CPUs from reading the data to the model's file, without imports, and the loss of every step. --double computes in
float64, to see how far rounding alone leads two runs apart.
"""
import argparse
import json
import os
import pathlib
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn as nn
import torch.nn.functional as F

FRAMES, COEFFS = 1024, 40


class VGG16_5(nn.Module):
    """Embeds feature maps [n][512][14][14] and clips [n][40][1024] as [n][1024][places or steps]."""

    def __init__(self):
        super().__init__()
        sizes = [(COEFFS, 128, 1), (128, 256, 11), (256, 512, 17), (512, 512, 17), (512, 1024, 17)]
        convs = {f"conv{i}": nn.Conv1d(c, d, k, padding=k // 2) for i, (c, d, k) in enumerate(sizes, 1)}
        self.image = nn.ModuleDict({"head": nn.Conv2d(512, 1024, 3, padding=1)})
        self.audio = nn.ModuleDict({"norm": nn.BatchNorm1d(COEFFS), **convs})

    def forward(self, maps, clips):
        images = self.image["head"](maps).flatten(2)
        x = F.relu(self.audio["conv1"](self.audio["norm"](clips)))
        for i in range(2, 6):
            x = F.max_pool1d(F.relu(self.audio[f"conv{i}"](x)), 3, stride=2, padding=1)
        return images, x


def misa(images, clips):
    """[n][n]: of each picture with each clip, the mean over time of the best place."""
    n, d, places = images.shape
    s = images.transpose(1, 2).reshape(-1, d) @ clips.transpose(0, 1).reshape(d, -1)
    return s.view(n, places, n, -1).amax(1).mean(2)


def hinge(s):
    right = s.diag()
    wrong = F.relu(1 + s - right[:, None]) + F.relu(1 + s - right[None, :])
    return wrong[~torch.eye(len(s), dtype=torch.bool)].mean()


def tensors(path):
    """The tensors of a safetensors file in PyTorch's order: ours have the channels last."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    for name, t in json.loads(raw[8:start]).items():
        if name != "__metadata__":
            lo, hi = t["data_offsets"]
            x = torch.from_numpy(np.frombuffer(raw[start + lo:start + hi], "<f4").reshape(t["shape"]).T.copy())
            yield name, x.transpose(2, 3).contiguous() if x.dim() == 4 else x


def load(a):
    """Feature maps [photos][512][14][14], float16, clips, and of each caption's id the places of the two."""
    parts = [pa.ipc.open_file(p).read_all() for p in sorted(a.features.glob("features-*.arrow"))]
    maps = torch.from_numpy(np.concatenate([c.to_numpy_ndarray() for t in parts for c in t["features"].chunks])).permute(0, 3, 1, 2)
    photo = {p: i for i, p in enumerate(p for t in parts for p in t["id"].to_pylist())}
    mfcc = pa.concat_tables([pq.read_table(p, columns=["id", "features"]) for p in sorted(a.mfcc.glob("mfcc-*.parquet"))])
    clips = [torch.from_numpy(x.values.to_numpy().reshape(-1, COEFFS).copy()) for x in mfcc["features"]]
    clip = {c: i for i, c in enumerate(mfcc["id"].to_pylist())}
    captions = pq.read_table(a.pairs / "captions.parquet", columns=["id", "photo_id"])
    pairs = {c: (photo[p], clip[c]) for c, p in zip(captions["id"].to_pylist(), captions["photo_id"].to_pylist()) if p in photo and c in clip}
    return maps, clips, pairs


def padded(clips):
    x = torch.zeros(len(clips), COEFFS, FRAMES)
    for row, clip in zip(x, clips):
        clip = clip[:FRAMES]
        row[:, :len(clip)] = clip.T
    return x


def train(a):
    maps, clips, pairs = load(a)
    order = [json.loads(line) for line in a.order.read_text().splitlines()][:a.steps]
    if len(order) < a.steps:
        raise SystemExit(f"{a.order} has {len(order)} steps, not {a.steps}")
    kind = torch.float64 if a.double else torch.float32
    model = VGG16_5()
    model.load_state_dict({**dict(tensors(a.start / "model.safetensors")), "audio.norm.num_batches_tracked": torch.tensor(0)})
    model.to(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.5, 0.9))
    losses = []
    for batch in order:
        places = [pairs[c] for c in batch]
        images, speech = model(maps[[i for i, _ in places]].to(kind), padded([clips[j] for _, j in places]).to(kind))
        loss = hinge(misa(images, speech))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if a.out:
        torch.save(model.state_dict(), a.out)
    return losses, sum(p.numel() for p in model.parameters())


def main():
    p = argparse.ArgumentParser()
    for name in ("pairs", "mfcc", "features", "start", "order"):
        p.add_argument("--" + name, type=pathlib.Path, required=True)
    p.add_argument("--out", type=pathlib.Path)
    p.add_argument("--double", action="store_true")
    p.add_argument("--steps", type=int, default=500)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    losses, parameters = train(a)
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": sum(os.times()[:4]) - cpu, "losses": losses, "parameters": parameters, "version": "torch " + torch.__version__}))


if __name__ == "__main__":
    main()
