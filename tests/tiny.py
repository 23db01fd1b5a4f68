"""Small random LLaVAs of transformers, the oracle of the model tests."""

import torch


def hub_model(seed=0, tied=False, image_token=3, **text):
    """A `LlavaForConditionalGeneration`: 4 features a picture, grouped queries, 97 words."""
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
            image_token_index=image_token,
            tie_word_embeddings=tied,
        )
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # transformers starts biases at 0 and norms at 1: nothing may stay hidden.
            scale = 0.1 if "norm" in name else 0.2
            parameter.add_(torch.randn_like(parameter) * scale)
    return model.eval()


def own_model(hub, folder, **options):
    """The same weights as a `LlavaModel`, through `save_pretrained` of transformers."""
    from llava_fast import LlavaModel

    hub.save_pretrained(folder)
    return LlavaModel.from_pretrained(folder, **options)


def answering_model(folder, tokenizer):
    """A directory with a random model that has a tokenizer (sp_legacy) and a template."""
    hub = hub_model(image_token=1162, vocab_size=1164, max_position_embeddings=200)
    own = own_model(hub, folder / "hub")
    for path in tokenizer.iterdir():
        own.assets[path.name] = path.read_bytes()
    own.save_pretrained(folder / "model", template="v1_short")
    return folder / "model"


def pictures(count, seed=0, dtype=torch.float32):
    """Random `pixel_values` (n, 3, 28, 28)."""
    return torch.randn(
        (count, 3, 28, 28), dtype=dtype, generator=torch.Generator().manual_seed(seed)
    )


def document(length, images=(), seed=0):
    """Random ids (length,) with 4 image slots (id 3) at each of `images`; labels for the second
    half.
    """
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, 97, (length,), generator=random)
    for start in images:
        ids[start : start + 4] = 3
    labels = ids.clone()
    labels[: length // 2] = -100
    labels[ids == 3] = -100
    return ids, labels


def native(documents, pixel_patches=None, starts=()):
    """A packed batch in the loader's native format from (ids, labels) pairs."""
    lengths = [len(ids) for ids, _ in documents]
    ids = torch.cat([ids for ids, _ in documents])
    labels = torch.cat(
        [torch.cat((labels[1:], labels.new_tensor([-100]))) for _, labels in documents]
    )
    rows = (labels != -100).nonzero().flatten()
    batch = {
        "input_ids": ids,
        "position_ids": torch.cat([torch.arange(n) for n in lengths]).int(),
        "cu_seqlens": torch.tensor([0, *lengths]).cumsum(0).int(),
        "max_seqlen": max(lengths),
        "loss_rows": rows.int(),
        "targets": labels[rows],
        "records": torch.arange(len(lengths)),
    }
    if pixel_patches is not None:
        batch |= {"pixel_patches": pixel_patches, "image_row_starts": torch.tensor(starts).int()}
    return batch


def rewrite(folder, change):
    """Apply `change(names to tensors)` to the weights of a directory."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
