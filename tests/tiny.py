"""Small random LLaVAs of transformers, the oracle of the model tests."""

import torch


def hub_model(seed=0, tied=False, act="gelu", **text):
    """A `LlavaForConditionalGeneration`: 4 pictures tokens of 28 px, grouped queries, 97 words."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig
    from transformers import LlavaForConditionalGeneration as Hub

    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=28,
        patch_size=14,
    )
    words = {
        "vocab_size": 97,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
    }
    text = LlamaConfig(**(words | text), tie_word_embeddings=tied)
    torch.manual_seed(seed)
    model = Hub(
        LlavaConfig(
            vision_config=vision,
            text_config=text,
            image_token_index=3,
            projector_hidden_act=act,
            tie_word_embeddings=tied,
        )
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # transformers starts biases at 0, norms at 1 and weights near 0: nothing may stay hidden.
            scale = 0.1 if "norm" in name else 0.2
            parameter.add_(torch.randn_like(parameter) * scale)
    return model.eval()
