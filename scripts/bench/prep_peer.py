"""The Python stack that a researcher would write in an afternoon: MFCC of recordings, photos at 224x224, VGG16's feature maps, each as a table.

prep_peer.py make     --data DIR --flickr8k DIR --items N             photos and recordings to work on, once
prep_peer.py run      --data DIR --weights FILE --out DIR             mfcc.parquet, images.arrow, features.arrow
prep_peer.py compare  --ours DIR --theirs DIR --weights FILE          are our tables the same?

run prints a line of JSON for each stage: seconds on the clock and of all CPUs. It uses what is usual and quick: python_speech_features
with a pool of --threads processes, Pillow with the same, torchvision in channels_last on --threads threads, pyarrow. It reads the files
where they lie and keeps no copy of them, which our run does: that counts against ours.
"""
import argparse
import hashlib
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time

SIDE, RATE, WINDOW, HOP, BATCH = 224, 22050, 551, 221, 4
MEAN = (123.68, 116.779, 103.939)  # red, green, blue: as the weights were made


class Stage:
    """Times a block and prints it."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.wall, self.cpu = time.perf_counter(), sum(os.times()[:4])

    def __exit__(self, kind, *_):
        if kind is None:
            print(json.dumps({"stage": self.name, "wall": time.perf_counter() - self.wall, "cpu": sum(os.times()[:4]) - self.cpu}), flush=True)


def captions(flickr8k, n):
    """n photos and what is to be seen on them; made up where there is no Flickr8k."""
    table = pathlib.Path(flickr8k or "", "captions.txt")
    if not flickr8k or not table.exists():
        return [(None, f"a brown dog number {i} runs across a grassy field while a man in a red shirt looks on") for i in range(n)]
    out = {}
    for line in table.read_text(encoding="utf-8").splitlines():
        name, _, text = line.partition("\t")
        photo = table.parent / "images" / name.partition("#")[0]
        if name.endswith("#0") and photo.exists():
            out[photo] = text
    return sorted(out.items())[:n]


def make(a):
    """Photos of Flickr8k's usual size and recordings by espeak-ng, with the table that a corpus stage reads."""
    import csv

    import numpy as np
    from PIL import Image

    data = pathlib.Path(a.data)
    stamp = data / "made"
    if stamp.exists() and stamp.read_text() == str(a.items):
        return
    for d in ("photos", "wav"):
        (data / d).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with open(data / "table.csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["id", "photo_id", "image", "audio", "caption"])
        for i, (photo, text) in enumerate(captions(a.flickr8k, a.items)):
            im = Image.open(photo).convert("RGB") if photo else Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
            im.resize((500, 375) if i % 3 else (333, 500), Image.LANCZOS).save(data / "photos" / f"{i:04}.jpg", quality=90)
            subprocess.run(["espeak-ng", "-v", "en-us", "-s", "175", "-w", data / "wav" / f"{i:04}.wav", "--", text], check=True)
            w.writerow([f"clip{i:04}", f"photo{i:04}", f"photos/{i:04}.jpg", f"wav/{i:04}.wav", text])
    stamp.write_text(str(a.items))


def mfcc(path):
    import numpy as np
    import python_speech_features as psf
    from scipy.io import wavfile

    rate, x = wavfile.read(path)
    y = psf.mfcc(x, rate, winlen=0.025, winstep=0.01, numcep=40, nfilt=40, nfft=WINDOW).astype(np.float32)
    return y, rate, sha(path.read_bytes())


def picture(path):
    import numpy as np
    from PIL import Image

    im = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.BILINEAR)
    return np.ascontiguousarray(np.asarray(im)[:, :, ::-1]), sha(path.read_bytes())


def sha(b):
    return hashlib.sha256(b).hexdigest()


def write_mfcc(rows, out):
    import pyarrow as pa
    import pyarrow.parquet as pq

    i32 = lambda v: pa.array(v, pa.int32())
    flat = [y.ravel() for _, (y, _, _) in rows]
    table = pa.table({
        "id": [i for i, _ in rows],
        "sha256": [sha(y.tobytes()) for y in flat],
        "n_frames": i32([y.shape[0] for _, (y, _, _) in rows]),
        "n_coeffs": i32([y.shape[1] for _, (y, _, _) in rows]),
        "features": pa.array(flat, pa.list_(pa.float32())),
        "source_sha256": [s for _, (_, _, s) in rows],
        "sample_rate_hz": i32([r for _, (_, r, _) in rows]),
        "window_samples": i32([WINDOW] * len(rows)),
        "hop_samples": i32([HOP] * len(rows)),
    })
    pq.write_table(table, out, compression="zstd", compression_level=1, use_dictionary=False, column_encoding={"features.list.element": "BYTE_STREAM_SPLIT"})


def write_tensors(ids, sources, x, column, out):
    import pyarrow as pa

    table = pa.table({
        "id": ids,
        "sha256": [sha(v.tobytes()) for v in x],
        "source_sha256": sources,
        column: pa.FixedShapeTensorArray.from_numpy_ndarray(x),
    })
    with pa.OSFile(str(out), "wb") as f, pa.ipc.new_file(f, table.schema) as w:
        w.write_table(table)


def vgg16(path):
    """VGG16 to conv5_3 + ReLU, weights from a safetensors file: 8 bytes length, JSON, numbers."""
    import numpy as np
    import torch
    import torchvision

    raw = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    net, state = torchvision.models.vgg16(weights=None).features[:-1].eval(), {}
    for name, t in json.loads(raw[8:start]).items():
        if name.startswith("features."):
            lo, hi = t["data_offsets"]
            x = np.frombuffer(raw[start + lo:start + hi], {"F16": np.float16, "F32": np.float32}[t["dtype"]])
            state[name.removeprefix("features.")] = torch.from_numpy(x.astype(np.float32).reshape(t["shape"]))
    net.load_state_dict(state)
    return net.to(memory_format=torch.channels_last)


def features(images, weights, threads):
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    net, mean = vgg16(weights), torch.tensor(MEAN).view(1, 3, 1, 1)
    out = []
    with torch.inference_mode():
        for i in range(0, len(images), BATCH):
            rgb = np.ascontiguousarray(images[i:i + BATCH, :, :, ::-1])
            x = torch.from_numpy(rgb).permute(0, 3, 1, 2).float() - mean
            y = net(x.to(memory_format=torch.channels_last))
            out.append(y.permute(0, 2, 3, 1).contiguous().half().numpy())
    return np.concatenate(out)


def run(a):
    data, out = pathlib.Path(a.data), pathlib.Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    with Stage("imports"):
        import numpy as np
        import PIL.Image  # noqa: F401
        import pyarrow.parquet  # noqa: F401
        import python_speech_features  # noqa: F401
        import scipy.io.wavfile  # noqa: F401
        import torch
        import torchvision  # noqa: F401
    torch.set_num_threads(1)  # until the pools, which are forked, are done
    with Stage("mfcc"):
        files = sorted((data / "wav").glob("*.wav"))
        with multiprocessing.get_context("fork").Pool(a.threads) as pool:
            rows = pool.map(mfcc, files, chunksize=10)
            pool.close()
            pool.join()
        write_mfcc([(f"clip{f.stem}", r) for f, r in zip(files, rows)], out / "mfcc.parquet")
    with Stage("photos"):
        files = sorted((data / "photos").glob("*.jpg"))
        with multiprocessing.get_context("fork").Pool(a.threads) as pool:
            rows = pool.map(picture, files, chunksize=10)
            pool.close()
            pool.join()
        ids, images = [f"photo{f.stem}" for f in files], np.stack([r[0] for r in rows])
        write_tensors(ids, [r[1] for r in rows], images, "pixels", out / "images.arrow")
    with Stage("features"):
        maps = features(images, a.weights, a.threads)
        write_tensors(ids, [sha(x.tobytes()) for x in images], maps, "features", out / "features.arrow")


def load(pattern, column):
    """Rows of all parts of a table, by id."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = {}
    for part in sorted(pattern.parent.glob(pattern.name)):
        t = pq.read_table(part) if part.suffix == ".parquet" else pa.ipc.open_file(part).read_all()
        x = t.column(column).combine_chunks()
        x = x.chunk(0) if isinstance(x, pa.ChunkedArray) else x
        if isinstance(t.schema.field(column).type, pa.FixedShapeTensorType):
            x = x.to_numpy_ndarray()
        else:
            x = [np.array(v, np.float32) for v in x.to_pylist()]
        out |= dict(zip(t.column("id").to_pylist(), x))
    return out


def compare(a):
    import numpy as np

    ours, theirs, bad, said = pathlib.Path(a.ours), pathlib.Path(a.theirs), [], []

    def hold(name, x, y, allowed):
        if x.keys() != y.keys() or any(x[k].shape != y[k].shape for k in x):
            bad.append(f"{name}: {len(x)} and {len(y)} rows, or of other shapes")
            return
        d = sum(float(((x[k].astype(np.float64) - y[k]) ** 2).sum()) for k in x)
        s = sum(float((y[k].astype(np.float64) ** 2).sum()) for k in y)
        rms = (d / s) ** 0.5
        said.append(f"{name} {len(x)} rows, difference {rms:.1e} of the rms")
        if not rms <= allowed:
            bad.append(said[-1] + f", allowed {allowed}")

    hold("mfcc", load(ours / "mfcc/mfcc-*.parquet", "features"), load(theirs / "mfcc.parquet", "features"), 1e-4)
    pixels, maps = load(ours / "photos/images-*.arrow", "pixels"), load(ours / "features/features-*.arrow", "features")
    # JPEG decoders differ in how they widen the colours, and a network makes that five times as large ...
    hold("photos", pixels, load(theirs / "images.arrow", "pixels"), 0.02)
    hold("features", maps, load(theirs / "features.arrow", "features"), 0.1)
    # ... so both networks are also given the same pixels; float16 rounds by 2e-4.
    some = sorted(pixels)[:8]
    again = features(np.stack([pixels[k] for k in some]), a.weights, a.threads)
    hold("features of the same pixels", {k: maps[k] for k in some}, dict(zip(some, again)), 5e-4)
    if bad:
        sys.exit("; ".join(said) + "\n" + "\n".join(bad))
    print("; ".join(said))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["make", "run", "compare"])
    for name in ("data", "flickr8k", "weights", "out", "ours", "theirs"):
        p.add_argument("--" + name)
    p.add_argument("--items", type=int, default=300)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    {"make": make, "run": run, "compare": compare}[a.what](a)


if __name__ == "__main__":
    main()
