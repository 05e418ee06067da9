"""MFCC of a folder of WAV files to a Parquet file, as a researcher would do it: scipy reads, librosa.feature.mfcc computes (40 bands, FFT 551, 25/10 ms), pyarrow writes the columns that our table has: features as list<float>, zstd level 1, BYTE_STREAM_SPLIT.

mfcc_parquet_peer.py --clips DIR [--out FILE] [--threads 1] [--reps 3]

It prints one line of JSON as the scripts of peers/ml do: clips/s (best, median), CPU seconds of the quickest repetition, versions. Imports and a first repetition are not counted."""
import argparse
import glob
import hashlib
import json
import os
import tempfile
import time

p = argparse.ArgumentParser()
p.add_argument("--clips", required=True)
p.add_argument("--out")
p.add_argument("--threads", type=int, default=1)
p.add_argument("--reps", type=int, default=3)
a = p.parse_args()
for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[v] = str(a.threads)

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from scipy.io import wavfile  # noqa: E402

pa.set_cpu_count(a.threads)
pa.set_io_thread_count(1)
BANDS, WINDOW, HOP = 40, 551, 220


def sha(b):
    return hashlib.sha256(b).hexdigest()


def one(path):
    with open(path, "rb") as f:
        source = sha(f.read())
    rate, x = wavfile.read(path)
    y = librosa.feature.mfcc(y=(x / 32768.0).astype(np.float32), sr=rate, n_mfcc=BANDS, n_mels=BANDS, n_fft=WINDOW, win_length=WINDOW, hop_length=HOP)
    y = np.ascontiguousarray(y.T, np.float32)
    return os.path.splitext(os.path.basename(path))[0], y, rate, source


def run(files, out):
    rows = [one(f) for f in files]
    i32 = lambda v: pa.array(v, pa.int32())  # noqa: E731
    flat = [y.ravel() for _, y, _, _ in rows]
    offsets = np.cumsum([0] + [len(y) for y in flat], dtype=np.int32)
    table = pa.table({
        "id": [r[0] for r in rows],
        "sha256": [sha(y) for y in flat],
        "n_frames": i32([y.shape[0] for _, y, _, _ in rows]),
        "n_coeffs": i32([y.shape[1] for _, y, _, _ in rows]),
        "features": pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(flat))),
        "source_sha256": [r[3] for r in rows],
        "sample_rate_hz": i32([r[2] for r in rows]),
        "window_samples": i32([WINDOW] * len(rows)),
        "hop_samples": i32([HOP] * len(rows)),
    })
    pq.write_table(table, out, compression="zstd", compression_level=1, use_dictionary=False, column_encoding={"features.list.element": "BYTE_STREAM_SPLIT"})


files = sorted(glob.glob(os.path.join(a.clips, "*.wav")))
if not files:
    raise SystemExit("no .wav under " + a.clips)
with tempfile.TemporaryDirectory() as d:
    out, wall, cpu = a.out or os.path.join(d, "mfcc.parquet"), [], []
    for i in range(a.reps + 1):
        w, c = time.perf_counter(), sum(os.times()[:4])
        run(files, out)
        if i:
            wall.append(time.perf_counter() - w)
            cpu.append(sum(os.times()[:4]) - c)
wall.sort()
print(json.dumps({
    "name": "mfcc_parquet", "value": round(len(files) / wall[0], 2), "unit": "clips/s", "median": round(len(files) / wall[len(wall) // 2], 2), "clips": len(files),
    "version": f"librosa {librosa.__version__}, pyarrow {pa.__version__}", "cpu_s": round(min(cpu), 3), "load1": round(os.getloadavg()[0], 2),
}))
