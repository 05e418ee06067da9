"""Pillow resizing photos from decoded pixels to 224x224, on one thread, beside ours (benchmark photos).

resize_peer.py make --photos DIR --data DIR    decoded pixels, once: DIR/NNN.rgb, WIDTHxHEIGHT in DIR/sizes.txt
resize_peer.py run --data DIR --reps N         a line of JSON for each filter: least CPU seconds for all photos, and a digest of what came out

Both sides read the same pixels, and their digests must agree: the same work, bit for bit. Pillow's plain wheel has no SIMD of its own.
"""
import argparse
import hashlib
import json
import pathlib
import time

import PIL
from PIL import Image

SIDE = 224
FILTERS = ("bilinear", "bicubic", "lanczos", "box")


def make(a):
    data, sizes = pathlib.Path(a.data), []
    data.mkdir(parents=True, exist_ok=True)
    for f in sorted(pathlib.Path(a.photos).glob("*.jpg")):
        im = Image.open(f).convert("RGB")
        (data / f"{f.stem}.rgb").write_bytes(im.tobytes())
        sizes.append(f"{f.stem}.rgb {im.width} {im.height}\n")
    (data / "sizes.txt").write_text("".join(sizes))


def run(a):
    data, photos = pathlib.Path(a.data), []
    for line in (data / "sizes.txt").read_text().splitlines():
        name, w, h = line.split()
        photos.append(Image.frombytes("RGB", (int(w), int(h)), (data / name).read_bytes()))
    for name in FILTERS:
        f, best = getattr(Image, name.upper()), float("inf")
        for _ in range(a.reps + 1):
            began = time.process_time()
            out = [im.resize((SIDE, SIDE), f) for im in photos]
            best = min(best, time.process_time() - began)
        digest = hashlib.sha256(b"".join(im.tobytes() for im in out)).hexdigest()
        print(json.dumps({"name": name, "photos": len(photos), "cpu_s": best, "sha256": digest, "version": "Pillow " + PIL.__version__}), flush=True)


p = argparse.ArgumentParser()
p.add_argument("what", choices=["make", "run"])
p.add_argument("--photos")
p.add_argument("--data", required=True)
p.add_argument("--reps", type=int, default=5)
a = p.parse_args()
{"make": make, "run": run}[a.what](a)
