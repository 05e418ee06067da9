"""Opens every Parquet and Arrow part of the demo's artifacts with pyarrow and DuckDB and checks types, units and contents;
and the events of its training with TensorBoard.

usage: readers.py DIR RUNS    (DIR/<stage>/<part>, as `hearsight get` writes them; RUNS is the store's)
       readers.py events RUNS
"""
import io
import json
import pathlib
import sys
import wave

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

SCHEMAS = {
    "captions": {"id": pa.string(), "photo_id": pa.string(), "caption_index": pa.int32(), "text": pa.string(), "split": pa.string(), "group": pa.string()},
    "photos": {"id": pa.string(), "sha256": pa.string(), "format": pa.string(), "width": pa.int32(), "height": pa.int32(), "bytes": pa.binary()},
    "clips": {"id": pa.string(), "sha256": pa.string(), "format": pa.string(), "sample_rate_hz": pa.int32(), "channels": pa.int32(), "seconds": pa.float64(), "voice": pa.string(), "text": pa.string(), "audio": pa.binary()},
    "mfcc": {"id": pa.string(), "n_frames": pa.int32(), "n_coeffs": pa.int32(), "features": pa.float32(), "source_sha256": pa.string()},
    "ranks": {"direction": pa.string(), "query": pa.string(), "rank": pa.float64(), "candidates": pa.int32()},
    "queries": {"caption": pa.string(), "photo": pa.string(), "words": pa.int32(), "rank": pa.float64(), "impostor_score": pa.float64(), "draw": pa.int32()},
    "rejects": {"item": pa.string(), "stage": pa.string(), "reason": pa.string()},
    "curve": {"step": pa.int64(), "loss": pa.float64(), "learning_rate": pa.float64()},
}
problems = []


def check(ok, what):
    if not ok:
        problems.append(what)


def parquet(path, name):
    t = pq.read_table(path)
    for column, want in SCHEMAS.get(name, {}).items():
        if column not in t.schema.names:
            check(False, f"{path}: no column {column}, has {t.schema.names}")
            continue
        have = t.schema.field(column).type
        if column == "features":
            check(pa.types.is_list(have) and have.value_type == want, f"{path}: features is {have}")
        else:
            check(have == want, f"{path}: {column} is {have}, want {want}")
    meta = pq.read_schema(path).metadata or {}
    meta = meta | (pq.ParquetFile(path).metadata.metadata or {})
    check(any(k.startswith(b"hearsight") for k in meta), f"{path}: no hearsight metadata, has {list(meta)}")
    if name in ("clips", "mfcc"):
        check(any(b"unit" in k for k in meta), f"{path}: no units in the metadata, has {list(meta)}")
    n = duckdb.sql(f"select count(*) from read_parquet('{path}')").fetchall()[0][0]
    check(n == t.num_rows, f"{path}: DuckDB counts {n} rows, pyarrow {t.num_rows}")
    duckdb.sql(f"select * from read_parquet('{path}')").fetchall()
    return t


def events(runs):
    """What TensorBoard's own reader finds is what metrics.jsonl beside it says; returns the number of values."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = {"loss": "loss", "learning_rate": "learning_rate", "validation/P@1": "p1", "validation/P@5": "p5", "validation/P@10": "p10"}
    found = 0
    for path in sorted(pathlib.Path(runs).rglob("metrics.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        board = EventAccumulator(str(path.parent), size_guidance={"scalars": 0})
        board.Reload()
        for tag, key in tags.items():
            want = [(line["step"], line[key]) for line in lines if key in line]
            have = [(e.step, e.value) for e in board.Scalars(tag)] if tag in board.Tags()["scalars"] else []
            same = len(have) == len(want) and all(a[0] == b[0] and abs(a[1] - b[1]) <= 1e-6 * abs(b[1]) for a, b in zip(have, want))
            check(same, f"{path.parent}: TensorBoard reads {tag} {have[:3]}..., {len(have)} values, want {want[:3]}..., {len(want)}")
            found += len(have)
        for e in board.Scalars("loss") if lines else []:
            check(abs(e.wall_time - 1.6e9) < 2e9 and e.wall_time > 1.6e9, f"{path.parent}: TensorBoard reads the time {e.wall_time}")
    check(found > 0, f"no events in {runs}")
    return found


def main(root, runs):
    seen = set()
    for path in sorted(pathlib.Path(root).rglob("*")):
        name = path.name.split("-")[0].split(".")[0]
        if path.suffix == ".parquet":
            t = parquet(path, name)
            seen.add(f"{path.parent.name}/{name}")
            if name == "mfcc":
                for row in t.slice(0, 20).to_pylist():
                    check(len(row["features"]) == row["n_frames"] * row["n_coeffs"], f"{path}: {row['id']} has {len(row['features'])} numbers for {row['n_frames']}x{row['n_coeffs']}")
                    check(np.isfinite(row["features"]).all(), f"{path}: {row['id']} is not finite")
            if name == "clips" and path.parent.name == "wav":
                for row in t.slice(0, 20).to_pylist():
                    with wave.open(io.BytesIO(row["audio"])) as w:
                        check(w.getparams()[:3] == (1, 2, 22050), f"{path}: {row['id']} is {w.getparams()}")
                        check(abs(w.getnframes() / 22050 - row["seconds"]) < 1e-6, f"{path}: {row['id']} says {row['seconds']} s")
        if path.suffix == ".arrow":
            t = pa.ipc.open_file(path).read_all()
            seen.add(f"{path.parent.name}/{name}")
            tensors = [f for f in t.schema if isinstance(f.type, pa.FixedShapeTensorType)]
            check(len(tensors) == 1, f"{path}: {len(tensors)} fixed-shape tensor columns in {t.schema}")
            for f in tensors:
                a = t.column(f.name).combine_chunks()
                a = a.chunk(0) if isinstance(a, pa.ChunkedArray) else a
                x = a.to_numpy_ndarray()
                check(x.ndim == 4 and x.shape[0] == t.num_rows, f"{path}: tensor of shape {x.shape}")
                want = {"images": np.uint8, "features": np.float16}[name]
                check(x.dtype == want, f"{path}: tensor of {x.dtype}, want {want}")
            check(any(k.startswith(b"hearsight") for k in t.schema.metadata or {}), f"{path}: no hearsight metadata")
    for want in ("pairs/captions", "pairs/photos", "speech/clips", "wav/clips", "mfcc/mfcc", "photos/images", "scores/ranks", "scores/queries", "model/curve", "features/features", "given/captions", "given/photos", "given/rejects"):
        check(want in seen, f"no part {want}, saw {sorted(seen)}")
    print(f"{len(seen)} tables opened")
    print(f"TensorBoard reads {events(runs)} values")


if sys.argv[1] == "events":
    print(f"TensorBoard reads {events(sys.argv[2])} values")
else:
    main(sys.argv[1], sys.argv[2])
for p in problems:
    print(p, file=sys.stderr)
sys.exit(1 if problems else 0)
