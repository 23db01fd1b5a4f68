"""The Llama decoder: documents in a row, and the cache, against whole recomputation."""

import pytest
import torch

from llava_fast.models.config import TextConfig
from llava_fast.models.language import Documents, KeyValueCache, LanguageModel

CONFIG = TextConfig(
    vocab_size=50,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=8,
    rope_theta=700.0,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LanguageModel(CONFIG).double()


def run(model, *documents):
    lengths = tuple(len(ids) for ids in documents)
    positions = torch.cat([torch.arange(n) for n in lengths])
    return model(model.embed_tokens(torch.cat(documents)), positions, Documents(lengths))


def test_hidden_states_equal_transformers(model):
    from transformers import LlamaConfig, LlamaModel

    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim")
    names += ("num_attention_heads", "num_key_value_heads", "rms_norm_eps")
    rope = {"rope_type": "default", "rope_theta": CONFIG.rope_theta}
    hub = LlamaModel(LlamaConfig(**{n: getattr(CONFIG, n) for n in names}, rope_parameters=rope))
    own = model.float()
    hub.load_state_dict(own.state_dict())
    ids = torch.randint(0, 50, (1, 33))
    with torch.no_grad():
        expected = hub(input_ids=ids).last_hidden_state[0]
        got = run(own, ids[0])
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_documents_in_a_row_equal_each_alone(model):
    documents = [torch.randint(0, 50, (n,)) for n in (1, 9, 4)]
    together = run(model, *documents)
    alone = torch.cat([run(model, ids) for ids in documents])
    assert (together - alone).abs().max() <= 1e-12


def test_cached_steps_equal_whole_recomputation(model):
    """Two texts of different length; the first takes 3 more tokens, the second pauses after 1."""
    texts = [torch.randint(0, 50, (5,)), torch.randint(0, 50, (2,))]
    cache = KeyValueCache(CONFIG, 2, 9, model.embed_tokens.weight.detach())
    with torch.no_grad():
        lengths = (5, 2)
        positions = torch.cat([torch.arange(n) for n in lengths])
        model(model.embed_tokens(torch.cat(texts)), positions, Documents(lengths, cache))
        cache.filled_B.copy_(torch.tensor(lengths))
        for step in range(3):
            new = torch.randint(0, 50, (2,))
            hidden = model(model.embed_tokens(new), cache.filled_B, cache)
            rows = (0, 1) if step == 0 else (0,)
            for row in rows:
                texts[row] = torch.cat((texts[row], new[row : row + 1]))
                assert (hidden[row] - run(model, texts[row])[-1]).abs().max() <= 1e-12
            cache.filled_B += torch.tensor([1, int(step == 0)])
