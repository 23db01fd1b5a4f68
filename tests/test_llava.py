"""The whole model against transformers, and packed against unpacked."""

import pytest
import torch

from llava_fast.models.batch import pack_batch
from tests.test_ops import both_forms
from tests.tiny import document, hub_model, native, own_model, pictures


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def pair(request, tmp_path_factory):
    hub = hub_model(tied=request.param)
    return hub, own_model(hub, tmp_path_factory.mktemp("hub"))


def padded(documents, side):
    """(B, L) ids, labels and mask."""
    width = max(len(ids) for ids, _ in documents)
    rows = []
    for ids, labels in documents:
        gap = (width - len(ids), 0) if side == "left" else (0, width - len(ids))
        one = torch.ones_like(ids)
        fills = ((ids, 0), (labels, -100), (one, 0))
        rows.append([torch.nn.functional.pad(x, gap, value=value) for x, value in fills])
    ids, labels, mask = (torch.stack(column) for column in zip(*rows, strict=True))
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


DOCUMENTS = [document(11, [1], seed=1), document(19, [2, 9], seed=2), document(6, seed=3)]


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_and_loss_equal_transformers(pair, side):
    hub, own = pair
    batch = padded(DOCUMENTS, side) | {"pixel_values": pictures(3)}
    with torch.no_grad():
        expected, got = hub(**batch), own(**batch)
    real = batch["attention_mask"].bool()
    scale = expected.logits[real].abs().max()
    assert (got.logits[real] - expected.logits[real]).abs().max() <= 1e-5 * scale
    assert not got.logits[~real].any()
    assert abs(got.loss - expected.loss) <= 1e-5 * expected.loss


def test_text_alone_equals_transformers(pair):
    hub, own = pair
    ids, labels = document(9, seed=5)
    batch = {"input_ids": ids[None], "labels": labels[None]}
    with torch.no_grad():
        expected, got = hub(**batch), own(**batch)
    assert (got.logits - expected.logits).abs().max() <= 1e-5 * expected.logits.abs().max()
    assert abs(got.loss - expected.loss) <= 1e-5 * expected.loss


def test_both_pixel_forms_give_transformers_logits(tmp_path):
    """Bytes through the model = `pixel_values` through transformers."""
    own = own_model(hub_model(), tmp_path)
    own.vision_tower.embeddings.mean, own.vision_tower.embeddings.std = MEAN_STD
    values, patches = both_forms(28, 14, pictures=3)
    batch = native(DOCUMENTS, patches, [1, 13, 20])
    shaped = padded(DOCUMENTS, "right") | {"pixel_values": values}
    with torch.no_grad():
        expected = hub_model()(**shaped).logits
        got = own(**batch)
        floats = own(
            **{k: v for k, v in batch.items() if k != "pixel_patches"}, pixel_values=values
        )
    rows = [
        (b, t) for b, (_, y) in enumerate(DOCUMENTS) for t in range(len(y) - 1) if y[t + 1] >= 0
    ]
    expected = torch.stack([expected[b, t] for b, t in rows])
    for logits in (got.logits, floats.logits):
        assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


MEAN_STD = ((0.48, 0.45, 0.40), (0.26, 0.27, 0.28))


@pytest.mark.parametrize(("dtype", "figure"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_packed_equals_unpacked_in_loss_and_gradients(tmp_path, dtype, figure):
    own = own_model(hub_model(), tmp_path, dtype=dtype)
    _, patches = both_forms(28, 14, pictures=3)
    packed = own(**native(DOCUMENTS, patches, [1, 13, 20]), reduction="sum").loss
    expected_gradients = gradients(own, packed)
    alone = [([0], [1]), ([1, 2], [2, 9]), (None, ())]
    total = 0
    for one, (which, starts) in zip(DOCUMENTS, alone, strict=True):
        pixels = None if which is None else patches[which]
        total = total + own(**native([one], pixels, starts), reduction="sum").loss
    assert abs(packed - total) <= figure * total
    for name, gradient in gradients(own, total).items():
        if name.endswith("k_proj.bias"):
            continue  # zero but for rounding: a softmax does not see a constant
        difference = (gradient - expected_gradients[name]).abs().max()
        assert difference <= figure * gradient.abs().max(), name


def gradients(model, loss):
    model.zero_grad()
    loss.backward(retain_graph=True)
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert {"projector.linear_1.weight", "vision_tower.embeddings.patch_embedding.weight"} <= set(
        found
    )
    return found


def test_every_shape_of_a_batch_means_the_same(tmp_path):
    """Native, padded, packed with cumulative lengths, packed with positions alone."""
    own = own_model(hub_model(), tmp_path, dtype=torch.float64)
    values = pictures(3, dtype=torch.float64)
    packed = {
        "input_ids": torch.cat([ids for ids, _ in DOCUMENTS])[None],
        "labels": torch.cat([labels for _, labels in DOCUMENTS])[None],
        "position_ids": torch.cat([torch.arange(len(ids)) for ids, _ in DOCUMENTS])[None],
        "use_cache": False,
        "pixel_values": values,
    }
    lengths = torch.tensor([0, 11, 30, 36], dtype=torch.int32)
    more = {
        "cu_seq_lens_q": lengths,
        "cu_seq_lens_k": lengths,
        "max_length_q": 19,
        "max_length_k": 19,
    }
    shaped = padded(DOCUMENTS, "left") | {"pixel_values": values}
    plain = native(DOCUMENTS) | {
        "pixel_values": values,
        "image_row_starts": torch.tensor([1, 13, 20]),
    }
    losses = [own(**batch).loss for batch in (shaped, packed, packed | more, plain)]
    assert max(losses) - min(losses) <= 1e-12 * losses[0]


def test_a_document_never_predicts_the_first_token_of_the_next():
    ids = torch.randint(4, 97, (1, 8))
    batch = {
        "input_ids": ids,
        "labels": ids,
        "position_ids": torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]]),
    }
    pack = pack_batch(batch, 3, 4)
    assert (pack.targets != -100).tolist() == [True] * 3 + [False] + [True] * 3 + [False]


def test_reductions(pair):
    _, own = pair
    batch = native(DOCUMENTS[2:])
    count = len(batch["targets"])
    total = own(**batch, reduction="sum").loss
    assert torch.equal(own(**batch).loss, total / count)
    assert torch.equal(own(**batch, num_items_in_batch=7).loss, total / 7)
    assert own(**batch).logits.shape == (count, 97)
    with pytest.raises(ValueError, match="got `max`, expected `mean` or `sum`"):
        own(**batch, reduction="max")


def test_a_pack_without_targets_has_loss_zero(pair):
    _, own = pair
    ids, _ = document(5)
    output = own(**native([(ids, torch.full_like(ids, -100))]))
    assert output.loss == 0
    assert output.logits.shape == (0, 97)


def wrong(**changes):
    batch = padded([document(11, [1]), document(9, [0])], "right") | {"pixel_values": pictures(2)}
    return {k: v for k, v in (batch | changes).items() if v is not None}


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (
            wrong(pixel_values=pictures(1)),
            ValueError,
            r"got 8 image slots, expected 4 \(1 pictures",
        ),
        (wrong(pixel_values=None), ValueError, r"got 8 image slots, expected 0 \(0 pictures"),
        (wrong(pixel_values=pictures(2).byte()), ValueError, "uint8, expected normalised floats"),
        (wrong(images=1), TypeError, "unknown batch key `images`"),
        (wrong(input_ids=None), TypeError, "batch without `input_ids`"),
        (
            wrong(input_ids=torch.ones(3, dtype=torch.long)),
            ValueError,
            r"expected \(rows, length\)",
        ),
        (
            wrong(attention_mask=None, cu_seq_lens_q=torch.tensor([0, 5])),
            ValueError,
            "got 22 tokens for documents of 5",
        ),
        (
            native([document(11, [1])], torch.zeros(1, 4, 640, dtype=torch.uint8), [2]),
            ValueError,
            "tokens that are not image slots",
        ),
        (
            native([document(11, [1])], torch.zeros(1, 4, 640, dtype=torch.uint8), [9]),
            ValueError,
            "tokens that are not image slots",
        ),
        (
            native([document(11, [1])], torch.zeros(2, 4, 640, dtype=torch.uint8), [1]),
            ValueError,
            "got 2 pictures for 1 `image_row_starts`",
        ),
    ],
)
def test_a_wrong_batch_is_refused_with_its_reason(pair, batch, error, message):
    with pytest.raises(error, match=message):
        pair[1](**batch)
