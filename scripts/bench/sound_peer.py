"""What decodes and resamples sound elsewhere: ffmpeg, a process a clip or many clips to a process, and python-soxr.

sound_peer.py make     --data DIR --items N --clips SCRIPT         recordings by espeak-ng, as AAC and MP3 of 64 kbit/s, once
sound_peer.py decode   --data DIR --format m4a|mp3 --batch B       all of them to 22,050 Hz mono WAV, --threads processes at once
sound_peer.py resample --from HZ --seconds S                       noise and a tone to 22,050 Hz by soxr's HQ, one thread

decode and resample print a line of JSON: seconds on the clock and of all CPUs, the version, and of decode the samples that came out.
SCRIPT is the shared peers' make_clips.py; decode does what their decode_ffmpeg.py does, on files that are kept from turn to turn.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

RATE = 22050
FFMPEG = ["ffmpeg", "-nostdin", "-y", "-v", "error"]


def make(a):
    data = pathlib.Path(a.data)
    stamp = data / "made"
    if stamp.exists() and stamp.read_text() == str(a.items):
        return
    wav = data / "wav"
    subprocess.run([sys.executable, a.clips, "--out", str(wav), "--n", str(a.items)], check=True)
    files = sorted(wav.glob("*.wav"))
    for kind in ("m4a", "mp3"):
        (data / kind).mkdir(exist_ok=True)
        todo = [(f, data / kind / (f.stem + "." + kind)) for f in files]
        with concurrent.futures.ThreadPoolExecutor(a.threads) as ex:
            list(ex.map(lambda t: subprocess.run(FFMPEG + ["-i", str(t[0]), "-b:a", "64k", str(t[1])], check=True), todo))
        with open(data / (kind + ".csv"), "w", encoding="utf-8") as f:
            f.write("id,audio\n" + "".join(f"clip{out.stem},{kind}/{out.name}\n" for _, out in todo))
    shutil.rmtree(wav)
    stamp.write_text(str(a.items))


def decode(a):
    files = sorted(pathlib.Path(a.data, a.format).glob("*." + a.format))
    groups = [files[i:i + a.batch] for i in range(0, len(files), a.batch)]

    def run(group):
        command = list(FFMPEG)
        for f in group:
            command += ["-i", str(f)]
        for k, f in enumerate(group):
            command += ["-map", str(k), "-ac", "1", "-ar", str(RATE), "-c:a", "pcm_s16le", f"{tmp}/{f.name}.wav"]
        subprocess.run(command, check=True)

    with tempfile.TemporaryDirectory() as tmp:
        wall, cpu = time.perf_counter(), sum(os.times()[:4])
        with concurrent.futures.ThreadPoolExecutor(a.threads) as ex:
            list(ex.map(run, groups))
        wall, cpu = time.perf_counter() - wall, sum(os.times()[:4]) - cpu
        samples = sum((os.path.getsize(os.path.join(tmp, f)) - 44) // 2 for f in os.listdir(tmp))
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split(" Copyright")[0]
    print(json.dumps({"wall": wall, "cpu": cpu, "clips": len(files), "samples": samples, "version": version}))


def resample(a):
    import numpy as np
    import soxr

    n = int(a.rate * a.seconds)
    x = (np.sin(np.arange(n) * 0.06) * 0.5 + np.random.default_rng(0).standard_normal(n) * 0.05).astype(np.float32)
    soxr.resample(x, a.rate, RATE, quality="HQ")
    best = 1e9
    for _ in range(a.reps):
        cpu = time.process_time()
        y = soxr.resample(x, a.rate, RATE, quality="HQ")
        best = min(best, time.process_time() - cpu)
    print(json.dumps({"wall": best, "cpu": best, "samples": len(y), "version": "soxr " + soxr.__version__ + " HQ"}))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["make", "decode", "resample"])
    for name in ("data", "clips", "format"):
        p.add_argument("--" + name)
    p.add_argument("--items", type=int, default=400)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--from", dest="rate", type=int, default=44100)
    p.add_argument("--seconds", type=float, default=4.6)
    p.add_argument("--reps", type=int, default=20)
    a = p.parse_args()
    {"make": make, "decode": decode, "resample": resample}[a.what](a)


if __name__ == "__main__":
    main()
