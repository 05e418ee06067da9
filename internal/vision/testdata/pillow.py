"""What Pillow makes of pictures, for pillow_test.go.

usage: pillow.py OUT    writes OUT/*.EXT, OUT/*.rgb and a line of JSON on standard output for each thing to compare
       pillow.py seeds OUT    writes OUT/FuzzDecode*/NAME, what Go's own encoders do not make, for fuzzing
"""
import io
import json
import pathlib
import sys

from PIL import Image, ImageOps

out = pathlib.Path(sys.argv[-1])


def seeds():
    im = Image.linear_gradient("L").resize((18, 11))
    rgb = Image.merge("RGB", (im, im.rotate(180), im))
    rgba = Image.merge("RGBA", (im, im, im.rotate(180), im))
    for target, name, m, options in (
        ("WebP", "lossy", rgb, {}), ("WebP", "lossy-alpha", rgba, {}), ("WebP", "lossless-alpha", rgba, {"lossless": True, "exact": True}),
        ("GIF", "transparent", im.quantize(4), {"transparency": 1}), ("BMP", "palette", im.quantize(5), {}), ("BMP", "32", rgba, {}),
        ("TIFF", "lzw", rgb, {"compression": "tiff_lzw"}), ("TIFF", "packbits", im, {"compression": "packbits"}), ("TIFF", "group4", im.convert("1"), {"compression": "group4"}), ("TIFF", "palette", im.quantize(5), {}),
    ):
        b = io.BytesIO()
        m.save(b, target, **options)
        to = out / f"FuzzDecode{target}"
        to.mkdir(parents=True, exist_ok=True)
        go = "".join(f"\\x{v:02x}" for v in b.getvalue())
        (to / name).write_text(f'go test fuzz v1\n[]byte("{go}")\n')


if sys.argv[1] == "seeds":
    seeds()
    sys.exit()


def say(**what):
    print(json.dumps(what))


def raw(name, im):
    (out / name).write_bytes(im.tobytes())
    return {"want": name, "width": im.width, "height": im.height}


def picture(w, h):
    """Edges, slopes and noise, each in a channel of its own; the noise differs from run to run."""
    red = Image.linear_gradient("L").rotate(30, expand=True).resize((w, h))
    green = Image.effect_noise((w, h), 90)
    blue = Image.radial_gradient("L").resize((w, h)).point(lambda v: 255 * (v // 32 % 2))
    return Image.merge("RGB", (red, green, blue))


for w, h, sizes in ((333, 500, ((224, 224), (256, 384), (300, 433), (300, 434))), (500, 375, ((224, 224), (1000, 40), (499, 376), (430, 240))), (61, 1, ((7, 3), (200, 1))), (3, 47, ((3, 5), (64, 64))), (1, 1, ((9, 2),)), (2500, 30, ((16, 16), (40, 30)))):
    im = picture(w, h)
    file = f"{w}x{h}.png"
    im.save(out / file)
    for to in sizes:
        for name in ("bilinear", "bicubic", "nearest", "lanczos", "box"):
            small = im.resize(to, getattr(Image, name.upper()))
            say(kind="resize", file=file, filter=name, **raw(f"{file}.{to[0]}x{to[1]}.{name}.rgb", small))

im = picture(120, 75)
alpha = Image.linear_gradient("L").resize(im.size)
rgba = im.copy()
rgba.putalpha(alpha)
holes = im.quantize(16)
holes.info["transparency"] = 3
smooth = Image.merge("RGB", [Image.linear_gradient("L").rotate(90 * k).resize((121, 75)) for k in range(3)])
for name, m, options, exact in (
    ("jpeg-420", smooth, {"quality": 92}, False), ("jpeg-progressive", smooth, {"quality": 92, "progressive": True}, False),
    ("jpeg-cmyk", smooth.convert("CMYK"), {"quality": 92}, False), ("jpeg-444", smooth, {"quality": 95, "subsampling": 0}, False),
    ("png", im, {}, True), ("png-alpha", rgba, {}, True), ("png-palette", holes, {"transparency": 3}, True), ("png-1", im.convert("1"), {}, True), ("png-interlaced", im, {"interlace": 1}, True),
    ("gif", im.quantize(200), {}, True), ("gif-transparent", holes, {"transparency": 3}, True), ("gif-gray", im.convert("L"), {}, True),
    ("webp-lossless", im, {"lossless": True}, True), ("webp-alpha", rgba, {"lossless": True, "exact": True}, True), ("webp-lossy", smooth, {"quality": 95}, False),
    ("webp-lossy-alpha", Image.merge("RGBA", (*smooth.split(), Image.new("L", smooth.size, 200))), {"quality": 95}, False),
    ("bmp", im, {}, True), ("bmp-palette", im.quantize(100), {}, True), ("bmp-gray", im.convert("L"), {}, True),
    ("tiff", im, {}, True), ("tiff-lzw", im, {"compression": "tiff_lzw"}, True), ("tiff-deflate", im, {"compression": "tiff_adobe_deflate"}, True),
    ("tiff-packbits", im, {"compression": "packbits"}, True), ("tiff-alpha", rgba, {}, True), ("tiff-palette", im.quantize(90), {}, True), ("tiff-1", im.convert("1"), {"compression": "group4"}, True),
):
    ext = name.split("-")[0]
    file = f"{name}.{ext}"
    m.save(out / file, **options)
    with Image.open(out / file) as back:
        say(kind="decode", file=file, exact=exact, **raw(file + ".rgb", back.convert("RGB")))

for o in range(1, 9):
    for ext, options in (("jpeg", {"quality": 95, "subsampling": 0}), ("png", {}), ("webp", {"lossless": True}), ("tiff", {})):
        exif = Image.Exif()
        exif[274] = o
        file = f"turned-{o}.{ext}"
        smooth.save(out / file, exif=exif, **options)
        with Image.open(out / file) as back:
            say(kind="orient", file=file, exact=ext != "jpeg", **raw(file + ".rgb", ImageOps.exif_transpose(back).convert("RGB")))

for w, h in ((200, 75), (75, 200), (97, 96), (5, 300)):
    m = picture(w, h)
    file = f"fit-{w}x{h}.png"
    m.save(out / file)
    for to in ((64, 64), (33, 80)):
        say(kind="fit", file=file, filter="bilinear", **raw(f"{file}.{to[0]}x{to[1]}.rgb", ImageOps.pad(m, to, Image.BILINEAR, color=(9, 9, 9))))
