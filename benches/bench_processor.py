"""`ImageProcessor` in the place of transformers' own: decoded pictures in, model input out.

Lists of Pillow images or arrays, as a collator hands them over; and the same inside a
`LlavaProcessor`, with a prompt for each picture.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from benches import pictures
from benches.apart import Case, needs
from benches.conftest import Apart, Gallery
from benches.gates import EXACT, Bound, Verdict, against_reference, identical
from benches.peers.by_hand import STD, decode_pillow
from benches.peers.processors import sizes
from benches.records import TOKENIZER

Call = Callable[[Sequence[object]], Mapping[str, object]]
PROMPT = "USER: <image>\nWhat is in the picture? ASSISTANT:"

TITLES = {
    "hf_pillow": "CLIPImageProcessorPil",
    "hf_torchvision": "CLIPImageProcessor (torchvision)",
}
BOUNDS = {"hf_pillow": EXACT, "hf_torchvision": Bound(2.1, 0.02)}


@pytest.mark.parametrize("peer", list(TITLES))
@pytest.mark.parametrize("heap", ["default", "warm"])
@pytest.mark.parametrize("inputs", ["images", "arrays"])
def bench_drop_in(apart: Apart, gallery: Gallery, inputs: str, heap: str, peer: str) -> None:
    setting = {"pictures": "coco", "inputs": inputs, "peer": peer, "heap": heap}
    apart(setting, TITLES[peer], drop_in, folder=gallery("coco"), inputs=inputs, peer=peer)


@pytest.mark.parametrize("peer", list(TITLES))
def bench_llava_processor(apart: Apart, gallery: Gallery, peer: str) -> None:
    setting = {"pictures": "coco", "inputs": "LlavaProcessor", "peer": peer, "heap": "default"}
    apart(setting, TITLES[peer] + " inside", inside, folder=gallery("coco"), peer=peer)


def drop_in(folder: str, inputs: str, peer: str) -> Case:
    """One call over all pictures, decoded beforehand."""
    images = [decode_pillow(file) for file in pictures.read(folder)]
    given = [np.asarray(image) for image in images] if inputs == "arrays" else images
    ours, theirs, reference = (_processor(name) for name in ("ours", peer, "hf_pillow"))
    return _case(given, *(_alone(one) for one in (ours, theirs, reference)), BOUNDS[peer])


def inside(folder: str, peer: str) -> Case:
    """The same as parts of three processors of text and pictures."""
    images = [decode_pillow(file) for file in pictures.read(folder)]
    ours, theirs, reference = (_processor(name) for name in ("ours", peer, "hf_pillow"))
    return _case(images, *(_with_text(one) for one in (ours, theirs, reference)), BOUNDS[peer])


def _case(images: Sequence[object], ours: Call, peer: Call, reference: Call, bound: Bound) -> Case:
    def check() -> Verdict:
        results = [dict(call(images)) for call in (ours, peer, reference)]
        values = [np.asarray(result.pop("pixel_values")) for result in results]
        for result in results[:2]:
            shared = {key: result[key] for key in results[2]}
            identical(shared, results[2])
        return against_reference(*values, bound, 255 * STD.reshape(3, 1, 1))

    return Case(lambda: ours(images), lambda: peer(images), check, len(images))


def _processor(name: str) -> object:
    if name == "ours":
        from llava_fast import ImageConfig, ImageProcessor

        return ImageProcessor(ImageConfig(mode="crop"), num_threads=1)
    if name == "hf_pillow":
        module = needs("transformers.models.clip.image_processing_pil_clip")
        return module.CLIPImageProcessorPil(**sizes())
    needs("torchvision.io")
    module = needs("transformers.models.clip.image_processing_clip")
    return module.CLIPImageProcessor(**sizes())


def _alone(processor: Callable) -> Call:
    return lambda images: processor(images, return_tensors="pt")


def _with_text(processor: object) -> Call:
    from transformers import PreTrainedTokenizerFast

    module = needs("transformers.models.llava.processing_llava")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(TOKENIZER)
    stand_in = _processor("hf_pillow")
    whole = module.LlavaProcessor(
        stand_in,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    whole.image_processor = processor
    return lambda images: whole(
        images=images, text=[PROMPT] * len(images), return_tensors="pt", padding=True
    )
