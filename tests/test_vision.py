"""The vision tower against transformers' CLIPVisionModel."""

import pytest
import torch

from llava_fast.models.config import VisionConfig
from llava_fast.models.vision import VisionTower
from tests.tiny import pictures


def towers(layers=3, used=None):
    from transformers import CLIPVisionConfig, CLIPVisionModel

    sizes = {
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": layers,
        "num_attention_heads": 3,
        "image_size": 28,
        "patch_size": 9,
    }
    torch.manual_seed(1)
    hub = CLIPVisionModel(CLIPVisionConfig(**sizes)).eval()
    with torch.no_grad():
        for parameter in hub.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    own = VisionTower(VisionConfig(**sizes), layers - 1 if used is None else used)
    names = {name.removeprefix("vision_model."): t for name, t in hub.state_dict().items()}
    own.load_state_dict({n: t for n, t in names.items() if not n.endswith("position_ids")})
    return hub, own


@pytest.mark.parametrize("used", [0, 1, 2, 3])
def test_features_equal_the_hidden_states_of_transformers(used):
    """28 px in patches of 9: the last pixel row and column belong to no patch."""
    hub, own = towers(used=used)
    with torch.no_grad():
        expected = hub(pictures(2), output_hidden_states=True).hidden_states[used][:, 1:]
        got = own(pictures(2))
    assert got.shape == (2, 9, 24)
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_unused_layers_are_not_computed():
    _, own = towers()
    calls = []
    for layer in (own.encoder.layers[2], own.post_layernorm):
        layer.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        for name, parameter in own.named_parameters():
            if name.startswith(("encoder.layers.2", "post_layernorm")):
                parameter.fill_(float("nan"))
    assert own(pictures(1)).isfinite().all()
    assert not calls


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.zeros(1, 3, 27, 28), r"got \(1, 3, 27, 28\), expected \(n, 3, 28, 28\)"),
        (torch.zeros(3, 28, 28), r"expected \(n, 3, 28, 28\)"),
        (torch.zeros(1, 8, 256, dtype=torch.uint8), r"got \(1, 8, 256\), expected \(n, 9, K\)"),
        (torch.zeros(1, 9, 192, dtype=torch.uint8), r"rows of 192, expected at least 243"),
    ],
)
def test_pictures_of_another_size_are_refused(pixels, message):
    with pytest.raises(ValueError, match=message):
        towers()[1](pixels)
