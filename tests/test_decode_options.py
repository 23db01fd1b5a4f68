"""The options of decoding: 16-bit gray, cut files, orientation."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from llava_fast import DecodeOptions, ImageError, _rust, decode_image
from tests.agreement import outcome
from tests.data.make_pictures import CHANNELS, PNG_KINDS, chunk, jpeg, png, random_png, scene
from tests.odd_files import bmp
from tests.picture_seeds import exif, saved
from tests.pillow_oracle import pillow_rgb
from tests.scale import scaled

Rng = np.random.Generator


def test_png16_scale_gives_the_high_byte():
    rng = np.random.default_rng(7)
    for interlaced in (False, True):
        samples = rng.integers(0, 65_536, (9, 11, 1))
        file = png(samples, 16, 0, interlaced=interlaced)
        scaled_down = decode_image(file, DecodeOptions(png16="scale"))
        np.testing.assert_array_equal(scaled_down, np.repeat(samples // 256, 3, axis=2))
        np.testing.assert_array_equal(decode_image(file), np.minimum(samples, 255).repeat(3, 2))
    for colour, depth in PNG_KINDS:
        if (colour, depth) != (0, 16):
            file = random_png(rng, colour, depth, (9, 7))
            np.testing.assert_array_equal(
                decode_image(file, DecodeOptions(png16="scale")), decode_image(file)
            )


def cuttable(rng: Rng, number: int) -> bytes:
    """A file that "fill" can fill, of few or many bytes per row."""
    colour, depth = PNG_KINDS[int(rng.integers(len(PNG_KINDS)))]
    size = tuple(int(side) for side in rng.integers(1, 60, 2))
    match number % 4:
        case 0:
            return random_png(rng, colour, depth, size, interlaced=bool(rng.integers(2)))
        case 1:
            flat = np.zeros((size[1], size[0], CHANNELS[colour]), np.int64)
            return png(flat, depth, colour, rng.bytes(3 << min(depth, 8)) if colour == 3 else b"")
        case 2:
            return saved(scene(*size, number).quantize(8), "GIF", interlace=number % 8 < 4)
        case _:
            return bmp(24, size, rng.bytes((size[0] * 3 + 3) // 4 * 4 * size[1]))


def before_half_a_header(cut: bytes) -> np.ndarray | None:
    """Pillow fails where a PNG ends 4 to 7 bytes into a chunk; ours leaves these bytes out."""
    shorter = (outcome(pillow_rgb, cut[: len(cut) - count]) for count in range(4, 8))
    return next((pixels for pixels in shorter if pixels is not None), None)


def test_cut_files_are_filled_as_pillow_fills_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    rng = np.random.default_rng(8)
    count = scaled(20_000)
    filled = by_chance = 0
    for number in range(count):
        file = cuttable(rng, number)
        cut = file[: int(rng.integers(len(file)))]
        theirs = outcome(pillow_rgb, cut)
        if theirs is None and cut.startswith(b"\x89PNG"):
            theirs = before_half_a_header(cut)
        ours = outcome(lambda data: decode_image(data, DecodeOptions(truncated="fill")), cut)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs, str(number))
            filled += outcome(decode_image, cut) is None
        elif theirs is not None:
            with pytest.raises(ImageError, match=r"truncated PNG: .* by chance"):
                decode_image(cut, DecodeOptions(truncated="fill"))
            by_chance += 1
    assert filled > count / 4
    assert by_chance < count / 5  # these pictures have rows of few bytes


def test_cut_webp_is_refused_as_by_pillow(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for file in (saved(scene(30, 30, 1), "WEBP", lossless=kind) for kind in (False, True)):
        for end in range(0, len(file) - 1, 7):
            with pytest.raises(ImageError):
                decode_image(file[:end], DecodeOptions(truncated="fill"))
            assert outcome(pillow_rgb, file[:end]) is None


def turned(data: bytes) -> np.ndarray:
    """Pillow's pixels the right way up."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def check_turned(data: bytes, expected: np.ndarray) -> None:
    """Ours are these pixels and this size with the option; without it they are not turned."""
    np.testing.assert_array_equal(decode_image(data, DecodeOptions(exif_rotation=True)), expected)
    height, width, _ = expected.shape
    assert _rust.image_size(data, DecodeOptions(exif_rotation=True)) == (width, height)
    np.testing.assert_array_equal(decode_image(data), pillow_rgb(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_exif_orientations(kind: str, orientation: int):
    for size in ((13, 7), (1, 9)):
        data = saved(scene(*size, 1), kind, exif=exif(orientation))
        check_turned(data, turned(data))
    assert (
        decode_image(data, DecodeOptions(exif_rotation=True)).shape != decode_image(data).shape
    ) == (orientation in (5, 6, 7, 8))


def test_xmp_orientation_where_exif_has_none():
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    picture = scene(13, 7, 1)
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    rng = np.random.default_rng(9)
    for data in (
        jpeg(picture, xmp=xmp),
        jpeg(picture, xmp=xmp, exif=exif(3)),
        saved(picture, "WEBP", xmp=xmp),
        random_png(rng, 2, 8, (13, 7), extra=text),
        random_png(rng, 2, 8, (13, 7), extra=text + chunk(b"eXIf", exif(8)[6:])),
    ):
        check_turned(data, turned(data))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bad_exif_is_harmless():
    rng = np.random.default_rng(10)
    good = exif(6)
    plain = saved(scene(13, 7, 1), "JPEG")
    upright = pillow_rgb(plain)
    turns = 0
    for _ in range(scaled(20_000)):
        damaged = bytearray(good)
        for place in rng.integers(6, len(good), int(rng.integers(1, 4))):
            damaged[int(place)] = int(rng.choice([0, 1, 8, 255, rng.integers(256)]))
        cut = damaged[: int(rng.integers(6, len(good) + 1))] if rng.random() < 0.3 else damaged
        app1 = b"\xff\xe1" + struct.pack(">H", len(cut) + 2) + cut
        data = plain[:2] + app1 + plain[2:]
        ours = decode_image(data, DecodeOptions(exif_rotation=True))
        try:
            expected = turned(data)
        except Exception:  # Pillow reads, or writes, no such EXIF
            continue
        np.testing.assert_array_equal(ours, expected, bytes(cut).hex())
        turns += ours.shape != upright.shape
    assert turns > scaled(20_000) / 10


def test_options_have_few_values():
    data = saved(scene(9, 7, 1), "PNG")
    with pytest.raises(ValueError, match="truncated: got `keep`, expected one of error, fill"):
        decode_image(data, DecodeOptions(truncated="keep"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="png16: got `round`, expected one of clip, scale"):
        decode_image(data, DecodeOptions(png16="round"))  # type: ignore[arg-type]
