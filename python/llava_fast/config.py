"""Settings of the data path. No torch, no numpy: `import llava_fast` stays light."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from llava_fast import _rust
from llava_fast.checks import integer, one_of

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# What a model of one square per picture can be given, and what the data path knows beyond that.
SQUARE_MODES = ("crop", "pad", "stretch")
MODES = (*SQUARE_MODES, "anyres")
OUTPUTS = ("pixel_values", "pixel_patches")
GRID_RULES = ("llava", "hf")
# Canvases of LLaVA-1.6 in squares.
_PINPOINTS = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))

_LARGEST_SIDE = 65_535
_LARGEST_LIMIT = 2**48


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """How files become pixels, and what a file may ask for. The defaults are Pillow's pixels.

    truncated: "error", or "fill": a file that ends too early shows what it has, as Pillow does with
        `LOAD_TRUNCATED_IMAGES`.
    png16: 16-bit gray PNG: "clip" at 255, as Pillow's `convert("RGB")` does and which turns nearly
        every such picture white, or "scale" to the high byte.
    exif_rotation: turn and mirror by the EXIF orientation of the file, as
        `ImageOps.exif_transpose` does.
    max_file_bytes: bytes of a file.
    max_pixels: width times height.
    max_aspect: longer side over shorter side.
    max_scans: scans of a progressive JPEG.
    max_coefficient_bytes: memory for its coefficients.
    max_scanned_pixels: its pixels times its scans, which bounds the time it takes.
    """

    truncated: str = "error"
    png16: str = "clip"
    exif_rotation: bool = False
    max_file_bytes: int = 64 << 20
    max_pixels: int = 64 << 20
    max_aspect: int = 200
    max_scans: int = 100
    max_coefficient_bytes: int = 256 << 20
    max_scanned_pixels: int = 1 << 31

    def __post_init__(self) -> None:
        """Refuse what the decoder does not know."""
        one_of("truncated", self.truncated, ("error", "fill"))
        one_of("png16", self.png16, ("clip", "scale"))
        if not isinstance(self.exif_rotation, bool):
            raise ValueError(f"exif_rotation: got {self.exif_rotation!r}, expected a bool")
        for field in fields(self):
            if field.name.startswith("max_"):
                value = integer(field.name, getattr(self, field.name), 1, _LARGEST_LIMIT)
                object.__setattr__(self, field.name, value)


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """How a picture becomes model input: squares of `size` pixels.

    size: side of a square in pixels.
    mode: "crop" = shortest edge to `size` (bicubic), centre crop (CLIP; LLaVA-1.5 stage 1);
        "pad" = centred on a square of the mean colour first (LLaVA-1.5 stage 2 and inference);
        "stretch" = scaled to the square, whatever its shape (SigLIP);
        "anyres" = stretched, then the tiles of a larger black canvas that the picture is centred
        on, row by row (LLaVA-1.6, LLaVA-NeXT).
    patch_size: side of a vision-tower patch in pixels.
    mean, std: per channel, of values in 0..1.
    grid_pinpoints: canvases of "anyres" in pixels, multiples of `size`; None = the five of
        LLaVA-1.6. The one that keeps most detail is taken, of equals the one with the least empty
        room, then the first.
    grid_rule: "llava" = a pinpoint is (width, height), sides are truncated; "hf" = (height, width),
        rounded to seven digits first. They differ for about one size in twenty, most of them small
        or nearly square pictures, in the canvas and often in the number of tokens.
    output: "pixel_values" (N, 3, size, size) float32, or "pixel_patches" (N, P, K) uint8,
        patch-major: P = (size // patch_size) ** 2, K = 3 * patch_size ** 2 rounded up to a
        multiple of 64. With "anyres": pixel_values (N, tiles, 3, size, size), zeros where a picture
        has fewer tiles than another; pixel_patches of all tiles one after the other.
    decode: how files become pixels.

    Source: LLaVA `mm_utils.process_images`, transformers `CLIPImageProcessorPil`,
    `SiglipImageProcessorPil`, `LlavaNextImageProcessorPil`.
    """

    size: int = 336
    mode: str = "crop"
    patch_size: int = 14
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    grid_pinpoints: tuple[tuple[int, int], ...] | None = None
    grid_rule: str = "llava"
    output: str = "pixel_values"
    decode: DecodeOptions = DecodeOptions()

    def __post_init__(self) -> None:
        """Refuse what the data path cannot do."""
        one_of("mode", self.mode, MODES)
        one_of("output", self.output, OUTPUTS)
        one_of("grid_rule", self.grid_rule, GRID_RULES)
        if not 1 <= self.size <= 4096:
            raise ValueError(f"size: got {self.size}, expected 1..4096 pixels")
        if not 1 <= self.patch_size <= self.size:
            raise ValueError(f"patch_size: got {self.patch_size}, expected 1..{self.size} pixels")
        for name in ("mean", "std"):
            values = tuple(float(x) for x in getattr(self, name))
            if len(values) != 3 or (name == "std" and min(values) <= 0):
                raise ValueError(f"{name}: got {values}, expected three numbers (std: positive)")
            object.__setattr__(self, name, values)
        if not isinstance(self.decode, DecodeOptions):
            raise ValueError(f"decode: got {self.decode!r}, expected DecodeOptions")
        if self.grid_pinpoints is not None:
            object.__setattr__(self, "grid_pinpoints", _pairs(self.grid_pinpoints))
            self.num_image_tokens(1, 1)  # the one check of what the numbers may be

    @property
    def num_patches(self) -> int:
        """P, patches of a square, without the class token."""
        return (self.size // self.patch_size) ** 2

    @property
    def patch_row(self) -> int:
        """K, bytes per patch in "pixel_patches"."""
        return -(-3 * self.patch_size**2 // 64) * 64

    @property
    def pinpoints(self) -> tuple[tuple[int, int], ...]:
        """The canvases of "anyres" in pixels, in the order that `grid_rule` reads."""
        usual = tuple((first * self.size, second * self.size) for first, second in _PINPOINTS)
        return self.grid_pinpoints or usual

    def num_image_tokens(self, height: int, width: int) -> int:
        """Tokens that a picture of `height` x `width` pixels takes in a conversation: P, and with
        "anyres" one more for each patch of a tile that shows some of it, and for each row of them.

        Processor, loader and model all count by this function.
        """
        sides = (
            integer("height", height, 1, _LARGEST_SIDE),
            integer("width", width, 1, _LARGEST_SIDE),
        )
        return _rust.image_tokens(self, *sides)


def _pairs(pinpoints: Iterable[Iterable[int]]) -> tuple[tuple[int, int], ...]:
    try:
        pairs = tuple((int(first), int(second)) for first, second in pinpoints)
    except (TypeError, ValueError):
        pairs = None
    if pairs is None or min(map(min, pairs), default=1) < 1:
        raise ValueError(f"grid_pinpoints: got {pinpoints!r}, expected pairs of pixels")
    return pairs
