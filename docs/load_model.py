"""Runs a model of Hearsight in PyTorch: docs/model-files.md says how.
python3 load_model.py MODEL PHOTOS.npy CLIPS.npy FRAMES.npy SCORES.npy"""
import json, sys, numpy as np, torch, torch.nn.functional as F

def tensors(path):
    raw = open(path, "rb").read()
    n = int.from_bytes(raw[:8], "little")
    for name, t in json.loads(raw[8 : 8 + n]).items():
        if name != "__metadata__":
            x = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[t["dtype"]], int(np.prod(t["shape"])), 8 + n + t["data_offsets"][0])
            x = torch.from_numpy(x.astype("f4").reshape(t["shape"]).transpose().copy())  # channels last to PyTorch's order
            yield name, x.transpose(2, 3) if x.dim() == 4 else x

class Model:
    def __init__(self, folder):
        self.spec, self.w = json.load(open(f"{folder}/model.json")), dict(tensors(f"{folder}/model.safetensors"))

    def tower(self, prefix, x, count=None, own=None):  # x [n][channels][…]; count: a clip's steps of the output; own: its frames
        conv, pool = (F.conv2d, F.max_pool2d) if x.dim() == 4 else (F.conv1d, F.max_pool1d)
        for l in self.spec[prefix]["layers"]:
            w, pad = {k.rsplit(".", 1)[1]: v for k, v in self.w.items() if k.startswith(f"{prefix}.{l.get('name')}.")}, l.get("pad", 0)
            if l["op"] in ("conv", "pool"):
                x = conv(x, w["weight"], w["bias"], l["stride"], pad) if w else pool(x, l["kernel"], l["stride"], pad)
                own = own and [(n + 2 * pad - l["kernel"]) // l["stride"] + 1 for n in own]
            elif l["op"] == "norm":
                x = F.batch_norm(x, w["running_mean"], w["running_var"], w["weight"], w["bias"], eps=1e-5)
            elif l["op"] == "attend":
                a, n = F.linear(x.flatten(2).transpose(1, 2), **w)[..., 0], own or count
                x = x.flatten(2) @ (a.masked_fill(torch.arange(a.shape[1]) >= torch.tensor(n)[:, None], -torch.inf) if n else a).softmax(1)[..., None]
            elif l["op"] == "linear":
                x = F.linear(x.transpose(1, 2), **w).transpose(1, 2)
            elif l["op"] in ("lstm", "gru"):
                rnn = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[l["op"]](x.shape[1], l["channels"], batch_first=True, bidirectional=l.get("bidirectional", False))
                rnn.load_state_dict({k.replace("ih", "ih_l0").replace("hh", "hh_l0"): v for k, v in w.items()})
                packed = torch.nn.utils.rnn.pack_padded_sequence(x.transpose(1, 2), count, batch_first=True, enforce_sorted=False)  # read backwards, a clip begins at its end
                x = torch.nn.utils.rnn.pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=x.shape[2])[0].transpose(1, 2)
            elif l["op"] != "dropout":
                raise SystemExit(f"layer {l['op']} is not known to this script")
            x = F.relu(x) if l.get("relu") else x
            x = x * (torch.arange(x.shape[2]) < torch.tensor(own)[:, None])[:, None] if l.get("mask") and own else x
        return x.flatten(2).transpose(1, 2), own or count  # [n][places][channels]

    def scores(self, photos, clips, frames):  # [n][h][w][c], [m][t][coefficients] and true frames -> [n][m]
        s, x, a, out = self.spec, torch.as_tensor(photos).float(), torch.as_tensor(clips).float(), self.spec["frames"]
        norm = lambda x, p: ((x - p.get("center", 0)) / p.get("scale", 1) - torch.tensor(p.get("mean") or 0)) / torch.tensor(p.get("stds") or p.get("std") or 1)
        x, a = norm(x, s.get("pixels") or s.get("map_norm") or {}), norm(a, s.get("audio_norm") or {})
        a[torch.arange(a.shape[1])[None] >= torch.as_tensor(frames)[:, None]] = 0  # padding is 0 after the norm
        for l in s["audio"]["layers"]:
            out = (out + 2 * l.get("pad", 0) - l["kernel"]) // l["stride"] + 1 if l["op"] in ("conv", "pool") else out
        count = [out if s["length"] == "fixed" else min(out, max(1, int(f) // max(1, round(s["frames"] / out)))) for f in frames]
        own = [int(f) for f in frames] if s["length"] == "true" and any(l.get("mask") for l in s["audio"]["layers"]) else None
        (i, _), (a, count) = self.tower("image", x.permute(0, 3, 1, 2)), self.tower("audio", a.transpose(1, 2), count, own)
        scale = s["scale"] * min(100, float(self.w["similarity.scale"].exp()) if s.get("learn_scale") else 1)
        if s["similarity"] == "attention":
            return scale * F.normalize(i[:, 0], dim=1) @ F.normalize(a[:, 0], dim=1).T
        how = {"misa": lambda m: m.amax(1).mean(1), "sisa": lambda m: m.mean((1, 2)), "sima": lambda m: m.amax(2).mean(1)}[s["similarity"]]
        return scale * torch.stack([how(i @ c[:n].T) for c, n in zip(a, count)], 1)

if __name__ == "__main__":
    np.save(sys.argv[5], Model(sys.argv[1]).scores(*map(np.load, sys.argv[2:5])).detach().numpy())
