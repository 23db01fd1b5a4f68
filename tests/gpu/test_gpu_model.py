"""The model on the device gives what it gives on the CPU: loss, logits and every gradient."""

from pathlib import Path

import pytest
import torch

from llava_fast import DataLoader, ImageConfig, LlavaDataset, LlavaModel, LlavaOutput, Tokenizer

pytestmark = pytest.mark.gpu

# Same algorithm in float64; in float32 the order of additions shows; bfloat16 against float32.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 5e-2}


@pytest.fixture(scope="session")
def batches(model_dir: Path, records: Path) -> dict[str, dict]:
    """The same records in both formats of the loader."""
    config = LlavaModel.from_pretrained(model_dir).config.vision
    image = ImageConfig(size=config.image_size, patch_size=config.patch_size, mode="pad")
    tokenizer = Tokenizer.from_pretrained(model_dir)
    dataset = LlavaDataset(records, records.parent, tokenizer, image=image, max_length=1200)
    return {
        "native": next(iter(DataLoader(dataset, pack_tokens=1200, format="native"))),
        "padded": next(iter(DataLoader(dataset, batch_size=2))),
    }


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("kind", ["native", "padded"])
def test_device_equals_cpu(
    device: torch.device, model_dir: Path, batches: dict[str, dict], kind: str, dtype: torch.dtype
):
    reference = torch.float32 if dtype == torch.bfloat16 else dtype
    expected, expected_grads = _run(model_dir, batches[kind], torch.device("cpu"), reference)
    got, grads = _run(model_dir, batches[kind], device, dtype)
    limit = TOLERANCE[dtype]
    assert _error(got.loss, expected.loss) <= limit
    assert _error(got.logits, expected.logits) <= limit
    assert grads.keys() == expected_grads.keys()
    if dtype != torch.bfloat16:
        worst = max((_error(grads[name], g), name) for name, g in expected_grads.items())
        assert worst[0] <= 10 * limit, worst


def test_two_runs_on_the_device_are_bit_equal(
    device: torch.device, model_dir: Path, batches: dict[str, dict]
):
    first, first_grads = _run(model_dir, batches["native"], device, torch.float32)
    second, second_grads = _run(model_dir, batches["native"], device, torch.float32)
    assert torch.equal(first.logits, second.logits)
    for name, grad in first_grads.items():
        assert torch.equal(grad, second_grads[name]), name


def _run(
    model_dir: Path, batch: dict, device: torch.device, dtype: torch.dtype
) -> tuple[LlavaOutput, dict[str, torch.Tensor]]:
    model = LlavaModel.from_pretrained(model_dir, dtype=dtype, device=device)
    moved = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
    output = model(**moved)
    output.loss.backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert grads
    return output, grads


def _error(got: torch.Tensor, expected: torch.Tensor) -> float:
    """max |a - b| / max |b|."""
    got, expected = got.detach().double().cpu(), expected.detach().double()
    assert got.shape == expected.shape
    assert torch.isfinite(got).all()
    return float((got - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
