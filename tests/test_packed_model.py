"""A pack through transformers' LLaVA is its documents one by one: loss and logits."""

import pytest
import torch

from llava_fast import DataLoader
from tests import tiny_data
from tests.frameworks import tiny_llava
from tests.tiny_data import PACK


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    tiny_data.write(folder, 24)
    return tiny_data.dataset(folder)


@pytest.fixture(scope="module")
def model(dataset):
    return tiny_llava(dataset.tokenizer).double().eval()


def doubled(batch):
    """In float64, so that only a real difference counts; transformers' loss stays float32."""
    return {key: value.double() if key == "pixel_values" else value for key, value in batch.items()}


def unbatched(sample):
    """A record of the data set as a batch of one."""
    return {key: x if key == "pixel_values" else x[None] for key, x in sample.items()}


def one_by_one(model, dataset, batch, records):
    """Logits (T, V), the sum of the losses and the number of targets of the documents alone."""
    logits, loss, count = [], 0.0, 0
    for record in records:
        sample = dataset[record]
        out = model(**doubled(unbatched(sample)))
        targets = int((sample["labels"][1:] != -100).sum())
        logits.append(out.logits[0])
        loss += float(out.loss) * targets
        count += targets
    return torch.cat(logits), loss, count


def packs(dataset):
    """(transformers batch, its records) of each pack."""
    native = DataLoader(dataset, pack_tokens=PACK, format="native")
    for packed, ours in zip(DataLoader(dataset, pack_tokens=PACK), native, strict=True):
        yield packed, ours["records"].tolist()


# Eager attention takes its softmax in float32.
@pytest.mark.parametrize(("attention", "error"), [("sdpa", 1e-10), ("eager", 1e-6)])
@torch.no_grad()
def test_packed_equals_unpacked(model, dataset, attention, error):
    model.set_attn_implementation(attention)
    for batch, records in packs(dataset):
        out = model(**doubled(batch))
        logits, loss, count = one_by_one(model, dataset, batch, records)
        assert torch.allclose(out.logits[0], logits, atol=error, rtol=0)
        assert float(out.loss) * count == pytest.approx(loss, rel=1e-6)
        assert count == int((batch["labels"] != -100).sum())


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_without_use_cache_false_documents_see_each_other(dataset, training):
    """The key is there for a reason: transformers then makes a cache and drops the borders."""
    model = tiny_llava(dataset.tokenizer).train(training)
    model.set_attn_implementation("sdpa")
    batch, records = next((b, r) for b, r in packs(dataset) if len(r) > 1)
    logits = torch.cat([model(**unbatched(dataset[record])).logits[0] for record in records])
    assert torch.allclose(model(**batch).logits[0], logits, atol=1e-5, rtol=0)
    del batch["use_cache"]
    assert not torch.allclose(model(**batch).logits[0], logits, atol=1e-3)


@torch.no_grad()
def test_padded_equals_unpacked(model, dataset):
    model.set_attn_implementation("sdpa")
    for step, batch in enumerate(DataLoader(dataset, batch_size=4, shuffle=False)):
        out = model(**doubled(batch))
        logits, loss, count = one_by_one(model, dataset, batch, range(4 * step, 4 * step + 4))
        real = batch["attention_mask"].bool()
        assert torch.allclose(out.logits[real], logits, atol=1e-10, rtol=0)
        assert float(out.loss) * count == pytest.approx(loss, rel=1e-6)
