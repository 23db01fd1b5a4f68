"""Settings of the data path. No torch, no numpy: `import llava_fast` stays light."""

from dataclasses import dataclass

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

MODES = ("crop", "pad")
OUTPUTS = ("pixel_values", "pixel_patches")


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """How a picture becomes model input.

    size: side of the square model input in pixels.
    mode: "crop" = shortest edge to `size` (bicubic), centre crop (CLIP; LLaVA-1.5 stage 1);
        "pad" = centred on a square of the mean colour first (LLaVA-1.5 stage 2 and inference).
    patch_size: side of a vision-tower patch in pixels.
    mean, std: per channel, of values in 0..1.
    output: "pixel_values" (N, 3, size, size) float32, or "pixel_patches" (N, P, K) uint8,
        patch-major: P = (size // patch_size) ** 2, K = 3 * patch_size ** 2 rounded up to a
        multiple of 64.

    Source: LLaVA `mm_utils.process_images`, transformers `CLIPImageProcessorPil`.
    """

    size: int = 336
    mode: str = "crop"
    patch_size: int = 14
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    output: str = "pixel_values"

    def __post_init__(self) -> None:
        """Refuse what the data path cannot do."""
        _one_of("mode", self.mode, MODES)
        _one_of("output", self.output, OUTPUTS)
        if not 1 <= self.size <= 4096:
            raise ValueError(f"size: got {self.size}, expected 1..4096 pixels")
        if not 1 <= self.patch_size <= self.size:
            raise ValueError(f"patch_size: got {self.patch_size}, expected 1..{self.size} pixels")
        for name in ("mean", "std"):
            values = tuple(float(x) for x in getattr(self, name))
            if len(values) != 3 or (name == "std" and min(values) <= 0):
                raise ValueError(f"{name}: got {values}, expected three numbers (std: positive)")
            object.__setattr__(self, name, values)

    @property
    def num_patches(self) -> int:
        """Image tokens per picture: patches of the grid, without the class token."""
        return (self.size // self.patch_size) ** 2

    @property
    def patch_row(self) -> int:
        """K, bytes per patch in "pixel_patches"."""
        return -(-3 * self.patch_size**2 // 64) * 64


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: got `{value}`, expected one of {', '.join(allowed)}")
