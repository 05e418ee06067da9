"""Turn Keras's VGG16, VGG19 or ResNet50 weights (.h5) into the safetensors file
that the stages features and train read. See docs/weights.md.

    python3 -m venv v && v/bin/pip install h5py numpy
    v/bin/python scripts/convert_keras.py vgg19 vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 vgg19.safetensors

It takes files of keras.applications, old and new names of layers, weights alone
or a whole model, with or without the fully connected part, which is left out.
All layers that are missing or of another shape are named at once.

Kernels are turned from Keras's [height][width][in][out] to torchvision's
[out][in][height][width]. Keras's networks see blue, green, red: the input
channels of the first convolution are put in the opposite order, so that the
file, like all others here, takes red, green, blue, less the mean.
"""
import argparse
import json
import struct
import sys

import h5py
import numpy as np

VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
VGG_WIDTHS = (64, 128, 256, 512, 512)
RESNET = ((3, 64), (4, 128), (6, 256), (3, 512))  # blocks and inner channels of stages 2 to 5
META = {
    "format": "pt",
    "layout": "NCHW / OIHW, torchvision's names",
    "input": "caffe",
    "channels": "RGB: the first convolution's input channels were reversed from Keras's BGR",
    "bn_eps": "1.001e-5",
    "stride": "conv1",
    "source": "keras.applications, by scripts/convert_keras.py",
}


def layers(file):
    """All arrays by layer and kind: {layer: {kernel, bias, gamma, ...}}."""
    kinds = {"W": "kernel", "kernel": "kernel", "b": "bias", "bias": "bias", "gamma": "gamma", "beta": "beta",
             "running_mean": "mean", "moving_mean": "mean", "running_std": "variance", "moving_variance": "variance"}
    found = {}

    def visit(path, node):
        if not isinstance(node, h5py.Dataset) or "optimizer" in path:
            return
        # .../block1_conv1/kernel:0, .../block1_conv1/block1_conv1_W_1:0
        parts = path.split(":")[0].split("/")
        if len(parts) < 2:
            return
        layer, name = parts[-2], parts[-1]
        if name.startswith(layer + "_"):
            name = name[len(layer) + 1:]
        if name.endswith("_1"):
            name = name[:-2]
        if name in kinds:
            found.setdefault(layer, {})[kinds[name]] = node[()]

    file.visititems(visit)
    return found


class Converter:
    def __init__(self, have):
        self.have, self.out, self.wrong = have, {}, []

    def get(self, names, kind, shape, optional=False):
        """The array of the first of names that there is, in shape."""
        for name in names:
            if kind in self.have.get(name, {}):
                array = self.have[name][kind]
                if array.shape != shape:
                    self.wrong.append(f"{name} {kind} has shape {list(array.shape)}, want {list(shape)}")
                return array
        if not optional:
            self.wrong.append(f"{names[0]} {kind} is missing")
        return None

    def conv(self, to, names, size, n_in, n_out, first=False, optional_bias=False):
        kernel = self.get(names, "kernel", (size, size, n_in, n_out))
        bias = self.get(names, "bias", (n_out,), optional_bias)
        if self.wrong:
            return
        if first:
            kernel = kernel[:, :, ::-1, :]
        self.out[to + ".weight"] = kernel.transpose(3, 2, 0, 1)
        if bias is not None:
            self.out[to + ".bias"] = bias

    def norm(self, to, names, n):
        for kind, name in (("gamma", "weight"), ("beta", "bias"), ("mean", "running_mean"), ("variance", "running_var")):
            array = self.get(names, kind, (n,))
            if array is not None:
                self.out[f"{to}.{name}"] = array

    def vgg(self, blocks):
        index, n_in = 0, 3
        for b, count in enumerate(blocks):
            for c in range(count):
                self.conv(f"features.{index}", [f"block{b + 1}_conv{c + 1}"], 3, n_in, VGG_WIDTHS[b], first=index == 0)
                index, n_in = index + 2, VGG_WIDTHS[b]
            index += 1

    def resnet(self, stages):
        self.conv("conv1", ["conv1_conv", "conv1"], 7, 3, 64, first=True, optional_bias=True)
        self.norm("bn1", ["conv1_bn", "bn_conv1"], 64)
        n_in = 64
        for s, (blocks, width) in enumerate(RESNET[:stages - 1]):
            for b in range(blocks):
                # torchvision's part, Keras's new and old names of it
                parts = [("conv1", "bn1", 1, "2a", 1, n_in, width), ("conv2", "bn2", 2, "2b", 3, width, width),
                         ("conv3", "bn3", 3, "2c", 1, width, 4 * width)]
                if b == 0:
                    parts.append(("downsample.0", "downsample.1", 0, "1", 1, n_in, 4 * width))
                for conv, norm, new, old, size, i, o in parts:
                    to, letter = f"layer{s + 1}.{b}.", f"{s + 2}{chr(ord('a') + b)}_branch{old}"
                    stem = f"conv{s + 2}_block{b + 1}_{new}"
                    self.conv(to + conv, [stem + "_conv", "res" + letter], size, i, o, optional_bias=True)
                    self.norm(to + norm, [stem + "_bn", "bn" + letter], o)
                n_in = 4 * width


def write(path, tensors, meta):
    """A safetensors file, sorted by name: convolutions as float16 with --half, all else float32."""
    header, at = {"__metadata__": meta}, 0
    for name in sorted(tensors):
        array = tensors[name]
        header[name] = {"dtype": {"float16": "F16", "float32": "F32"}[str(array.dtype)], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            f.write(np.ascontiguousarray(tensors[name]).tobytes())


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("network", choices=["vgg16", "vgg19", "resnet50"])
    p.add_argument("source", help="Keras's .h5")
    p.add_argument("target", help="safetensors file to write")
    p.add_argument("--stage", type=int, default=5, choices=[4, 5], help="resnet50: last stage kept")
    p.add_argument("--half", action="store_true", help="convolutions in float16: half the size, cosine of features 0.999999")
    a = p.parse_args()
    with h5py.File(a.source, "r") as file:
        c = Converter(layers(file))
    c.resnet(a.stage) if a.network == "resnet50" else c.vgg(VGG[a.network])
    if c.wrong:
        sys.exit(f"{a.source} is no {a.network} of keras.applications: " + "; ".join(c.wrong))
    for name, array in c.out.items():
        c.out[name] = array.astype("<f2" if a.half and array.ndim == 4 else "<f4")
    write(a.target, c.out, META | {"arch": a.network})
    print(f"{a.target}: {len(c.out)} tensors")


if __name__ == "__main__":
    main()
