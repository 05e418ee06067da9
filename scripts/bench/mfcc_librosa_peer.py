"""librosa.feature.mfcc at any FFT size: 40 mel bands, window and FFT of --nfft samples, hop 220, float32 samples in memory. As peers/ml/mfcc_librosa.py, whose window is 551 whatever the FFT.

mfcc_librosa_peer.py --clips DIR --nfft N [--threads 1] [--reps 3]"""
import argparse
import glob
import json
import os
import time

p = argparse.ArgumentParser()
p.add_argument("--clips", required=True)
p.add_argument("--nfft", type=int, required=True)
p.add_argument("--threads", type=int, default=1)
p.add_argument("--reps", type=int, default=3)
a = p.parse_args()
for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[v] = str(a.threads)

import librosa  # noqa: E402
import numpy as np  # noqa: E402
from scipy.io import wavfile  # noqa: E402

read = [wavfile.read(f) for f in sorted(glob.glob(os.path.join(a.clips, "*.wav")))]
if not read:
    raise SystemExit("no .wav under " + a.clips)
rate, clips = read[0][0], [(x / 32768.0).astype(np.float32) for _, x in read]
wall, cpu = [], []
for i in range(a.reps + 1):
    w, c = time.perf_counter(), sum(os.times()[:4])
    for y in clips:
        librosa.feature.mfcc(y=y, sr=rate, n_mfcc=40, n_mels=40, n_fft=a.nfft, hop_length=220)
    if i:
        wall.append(time.perf_counter() - w)
        cpu.append(sum(os.times()[:4]) - c)
wall.sort()
print(json.dumps({
    "name": f"mfcc_librosa_{a.nfft}", "value": round(len(clips) / wall[0], 2), "unit": "clips/s", "median": round(len(clips) / wall[len(wall) // 2], 2),
    "clips": len(clips), "version": "librosa " + librosa.__version__, "cpu_s": round(min(cpu), 3), "load1": round(os.getloadavg()[0], 2),
}))
