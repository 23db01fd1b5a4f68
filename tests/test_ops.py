"""`ops` against the slow twins in `kernels/<op>/reference.py`: forward and every gradient."""

import importlib
import itertools

import pytest
import torch

from llava_fast import ops

MEAN, STD = (0.48, 0.45, 0.40), (0.26, 0.27, 0.28)
# Largest |difference| over largest |reference| per tensor.
FIGURE = {torch.float64: 1e-12, torch.float32: 3e-6}
DTYPES = pytest.mark.parametrize("dtype", FIGURE, ids=["float64", "float32"])


def reference(name):
    return getattr(importlib.import_module(f"llava_fast.kernels.{name}.reference"), name)


def compare(name, dtype, leaves, *rest):
    """Both implementations on `leaves` (differentiated) and `rest`; outputs and gradients agree."""
    outcomes = []
    for function in (getattr(ops, name), reference(name)):
        own = [leaf.clone().requires_grad_() for leaf in leaves]
        out = function(*own, *rest)
        outputs = out if isinstance(out, tuple) else (out,)
        torch.manual_seed(7)
        total = sum((torch.randn(o.shape, dtype=dtype) * o).sum() for o in outputs)
        gradients = torch.autograd.grad(total, own)
        outcomes.append([o.detach() for o in outputs] + list(gradients))
    for got, expected in zip(*outcomes, strict=True):
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        assert error(got, expected) <= FIGURE[dtype]


def error(got, expected):
    return ((got - expected).abs().max() / expected.abs().max()).item()


def rand(*shape, dtype, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@DTYPES
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (3, 1)], ids=["mha", "gqa", "mqa"])
@pytest.mark.parametrize("lengths", [(1,), (7,), (5, 5, 5), (1, 13, 2, 7), (63, 1)], ids=str)
def test_attention(dtype, causal, heads, lengths):
    tokens = sum(lengths)
    shapes = [(tokens, heads[0], 10), (tokens, heads[1], 10), (tokens, heads[1], 10)]
    leaves = [rand(*shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes)]
    # A document of one token has an exactly zero gradient for its query and key.
    if tokens > 1:
        compare("attention", dtype, leaves, lengths, causal)
    out = ops.attention(*leaves, lengths, causal)
    assert error(out, reference("attention")(*leaves, lengths, causal)) <= FIGURE[dtype]


def test_a_document_does_not_see_another():
    q, k, v = (rand(9, 2, 8, dtype=torch.float64, seed=i) for i in range(3))
    before = ops.attention(q, k, v, (4, 5), True)
    k[4:], v[4:] = 1e3, float("inf")
    assert torch.equal(ops.attention(q, k, v, (4, 5), True)[:4], before[:4])


@DTYPES
def test_decode_attention(dtype):
    q = rand(3, 6, 8, dtype=dtype)
    k, v = (rand(3, 2, 11, 8, dtype=dtype, seed=i) for i in (1, 2))
    filled = torch.tensor([1, 11, 6])
    compare("decode_attention", dtype, [q, k, v], filled)


@DTYPES
@pytest.mark.parametrize(("size", "patch"), [(28, 14), (10, 3), (32, 16), (5, 5)], ids=str)
def test_patch_projection_of_float_pictures(dtype, size, patch):
    weight = rand(7, 3, patch, patch, dtype=dtype, seed=1)
    compare("patch_projection", dtype, [rand(2, 3, size, size, dtype=dtype), weight], MEAN, STD)


@pytest.mark.parametrize(("size", "patch"), [(28, 14), (10, 3), (32, 16), (5, 5)], ids=str)
def test_patch_projection_of_bytes_equals_that_of_floats(size, patch):
    values, patches = both_forms(size, patch)
    weight = rand(7, 3, patch, patch, dtype=torch.float32, seed=1).requires_grad_()
    expected = ops.patch_projection(values, weight, MEAN, STD)
    got = ops.patch_projection(patches, weight, MEAN, STD)
    slow = reference("patch_projection")(patches, weight, MEAN, STD)
    assert error(got, expected) <= 1e-5
    assert error(got, slow) <= 1e-5
    (wanted,) = torch.autograd.grad(expected.square().sum(), weight)
    (found,) = torch.autograd.grad(got.square().sum(), weight)
    assert error(found, wanted) <= 1e-5


def both_forms(size, patch, pictures=2):
    """The same random pictures as `pixel_values` and as `pixel_patches`, padding lanes full of
    noise.
    """
    raw = torch.randint(
        0, 256, (pictures, 3, size, size), generator=torch.Generator().manual_seed(3)
    )
    mean, std = (torch.tensor(x)[:, None, None] for x in (MEAN, STD))
    grid, row = size // patch, 3 * patch * patch
    patches = torch.full((pictures, grid * grid, -(-row // 64) * 64), 255, dtype=torch.uint8)
    for number, (y, x) in enumerate(itertools.product(range(grid), repeat=2)):
        cut = raw[:, :, y * patch : (y + 1) * patch, x * patch : (x + 1) * patch]
        patches[:, number, :row] = cut.flatten(1).to(torch.uint8)
    return (raw / 255 - mean) / std, patches


@DTYPES
@pytest.mark.parametrize("shape", [(1, 3), (5, 33)], ids=str)
def test_rms_norm(dtype, shape):
    compare(
        "rms_norm", dtype, [rand(*shape, dtype=dtype), rand(shape[1], dtype=dtype, seed=1)], 1e-5
    )


@DTYPES
def test_rotary(dtype):
    angle = rand(5, 3, dtype=dtype, seed=1)
    compare("rotary", dtype, [rand(5, 2, 6, dtype=dtype)], angle.cos(), angle.sin())


@DTYPES
@pytest.mark.parametrize("name", ["swiglu", "quick_gelu"])
def test_activations(dtype, name):
    leaves = [rand(4, 9, dtype=dtype, seed=i) * 4 for i in range(2 if name == "swiglu" else 1)]
    compare(name, dtype, leaves)


@DTYPES
def test_linear_cross_entropy(dtype):
    targets = torch.tensor([0, 16, -100, 3, -100])
    leaves = [rand(5, 8, dtype=dtype), rand(17, 8, dtype=dtype, seed=1)]
    compare("linear_cross_entropy", dtype, leaves, targets)


def test_linear_cross_entropy_without_a_target_is_zero():
    x, weight = rand(2, 8, dtype=torch.float32), rand(5, 8, dtype=torch.float32)
    loss, _ = ops.linear_cross_entropy(x, weight, torch.tensor([-100, -100]))
    assert loss.item() == 0


def test_the_loss_of_a_half_model_is_computed_in_float32():
    x = (rand(64, 16, dtype=torch.float32) * 3).bfloat16()
    weight = rand(301, 16, dtype=torch.float32, seed=1).bfloat16()
    targets = torch.arange(64)
    loss, logits = ops.linear_cross_entropy(x, weight, targets)
    expected = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
