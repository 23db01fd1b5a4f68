"""The loop: normalisation, frozen parts, steps that must not move the weights, exact answers."""

import hashlib
import math

import pytest
import torch

from llava_fast.training import evaluate, optim
from llava_fast.training.loop import NotFiniteError, accumulate
from llava_fast.training.models import freeze
from tests.training_packs import document, join, run, settings, small_model

LENGTHS = (9, 40, 12, 31)


def prepared(parts: str = "projector,llm", **changes):
    config = settings(train=parts, **changes)
    model = freeze(small_model(), config.parts)
    return model, optim.build(model, config)


def digest(module: torch.nn.Module) -> str:
    sha = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(name.encode() + tensor.numpy().tobytes())
    return sha.hexdigest()


def test_accumulation_does_not_change_the_run():
    """The loss is a mean over the tokens of the whole step, however it is cut into packs."""
    steps = [[document(10 * s + i, n) for i, n in enumerate(LENGTHS)] for s in range(10)]
    results = {}
    for parts in (1, 2, 4):
        size = len(LENGTHS) // parts
        packs = [join(step[i : i + size]) for step in steps for i in range(0, len(step), size)]
        model, optimizer = prepared()
        records, _ = run(model, optimizer, packs, per_step=parts)
        results[parts] = [r.loss for r in records], model.state_dict()
    for parts in (2, 4):
        losses, weights = results[parts]
        assert losses == pytest.approx(results[1][0], rel=5e-6)
        for name, tensor in weights.items():
            torch.testing.assert_close(tensor, results[1][1][name], rtol=0, atol=2e-5)


def test_a_mean_of_pack_means_would_be_another_run():
    """What the test above can see: the two averages differ by far more than its bounds."""
    model, _ = prepared()
    packs = [document(i, n) for i, n in enumerate(LENGTHS)]
    whole = float(accumulate(model, packs, settings(), lambda: None))
    means = [model(**pack).loss.item() for pack in packs]
    assert abs(whole - sum(means) / len(means)) > 1e-3


@pytest.mark.parametrize("parts", ["projector", "projector,llm", "projector,llm,vision"])
def test_only_the_named_parts_change(parts):
    model, optimizer = prepared(parts)
    modules = {
        "projector": model.projector,
        "llm": torch.nn.ModuleList([model.language_model, model.lm_head]),
        "vision": model.vision_tower,
    }
    before = {name: digest(module) for name, module in modules.items()}
    run(model, optimizer, [document(i, 20) for i in range(3)])
    changed = [name for name, module in modules.items() if digest(module) != before[name]]
    assert sorted(changed) == sorted(parts.split(","))
    assert all(p.grad is None for p in model.parameters())


def test_frozen_parts_have_no_optimizer_state():
    model, optimizer = prepared("projector")
    run(model, optimizer, [document(0, 20)])
    assert len(optimizer.state) == len(list(model.projector.parameters()))


def test_a_step_without_pictures_trains():
    model, optimizer = prepared()
    before = digest(model.language_model)
    [record], _ = run(model, optimizer, [document(0, 20, image=False)])
    assert (record.images, record.skipped) == (0, "")
    assert digest(model.language_model) != before


def test_a_step_with_nothing_supervised_is_skipped_and_counted():
    model, optimizer = prepared()
    before = digest(model)
    records, progress = run(model, optimizer, [document(0, 20, supervised=False)], warmup=0)
    assert (records[0].skipped, records[0].loss) == ("nothing supervised", None)
    assert (progress.empty_steps, progress.step) == (1, 1)
    assert digest(model) == before


def test_half_a_step_with_nothing_supervised_counts_the_other_half():
    model, optimizer = prepared()
    good, empty = document(0, 20), document(1, 20, supervised=False)
    [alone], _ = run(model, optimizer, [good], warmup=0)
    model, optimizer = prepared()
    [both], _ = run(model, optimizer, [empty, good], per_step=2, warmup=0)
    assert (both.loss, both.grad_norm) == (alone.loss, alone.grad_norm)


def poisoned(seed: int):
    pack = document(seed, 20)
    del pack["pixel_patches"]
    return pack | {"pixel_values": torch.full((1, 3, 32, 32), math.nan)}


def test_a_step_that_is_not_finite_moves_nothing():
    model, optimizer = prepared()
    run(model, optimizer, [document(0, 20)], warmup=0)
    before = digest(model)
    moments = {name: value.clone() for name, value in moments_of(optimizer)}
    records, progress = run(model, optimizer, [poisoned(1)], warmup=0, clip=1.0)
    assert (records[0].skipped, records[0].loss) == ("not finite", None)
    assert (progress.bad_steps, digest(model)) == (1, before)
    assert all(torch.equal(value, moments[name]) for name, value in moments_of(optimizer))


def moments_of(optimizer):
    for number, state in enumerate(optimizer.state.values()):
        yield from ((f"{number} {slot}", value) for slot, value in state.items())


def test_three_steps_in_a_row_that_are_not_finite_stop_the_run():
    model, optimizer = prepared()
    packs = [poisoned(0), poisoned(1), document(2, 20), *(poisoned(i) for i in (3, 4, 5, 6))]
    with pytest.raises(NotFiniteError, match="step 6: 3 in a row"):
        run(model, optimizer, packs)


def test_clipping_scales_long_gradients_only():
    model, _ = prepared()
    accumulate(model, [document(0, 20)], settings(), lambda: None)
    parameters = [p for p in model.parameters() if p.requires_grad]
    norm = float(optim.gradient_norm(parameters, 0.0))
    assert float(optim.gradient_norm(parameters, norm / 2)) == pytest.approx(norm)
    assert float(optim.gradient_norm(parameters, norm)) == pytest.approx(norm / 2, rel=1e-4)


@pytest.mark.parametrize("steps", [2, 7, 150, 5198])
def test_the_schedule_is_transformers(steps):
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-5)
    warmup = math.ceil(0.03 * steps)
    theirs = get_cosine_schedule_with_warmup(optimizer, warmup, steps)
    for step in range(steps):
        ours = optim.learning_rate(step, steps, 2e-5, 0.03)
        assert ours == pytest.approx(theirs.get_last_lr()[0], rel=1e-12, abs=1e-20)
        optimizer.step()
        theirs.step()


def test_a_run_of_one_step_learns():
    """transformers would give its only step, the first of the rise, rate 0."""
    assert optim.learning_rate(0, 1, 2e-5, 0.03) == 2e-5


def test_weight_decay_reaches_matrices_only():
    _, optimizer = prepared(weight_decay=0.1)
    for group in optimizer.param_groups:
        decayed = group["weight_decay"] > 0
        assert all((p.ndim >= 2) == decayed for p in group["params"])


def test_an_answer_is_exact_if_all_its_tokens_are():
    pack = join([document(0, 10), document(1, 12), document(2, 8, supervised=False)])
    logits = torch.nn.functional.one_hot(pack["targets"], 64).float()
    assert evaluate.exact_documents(logits, pack) == [True, True, None]
    logits[-1] = logits[-1].roll(1)
    assert evaluate.exact_documents(logits, pack) == [True, False, None]


def test_scores_by_category():
    outcomes = [("colour", True), ("colour", False), ("count", True)]
    score = evaluate.tally(outcomes)
    assert (score["exact"], score["records"]) == (2 / 3, 3)
    assert score["by_category"]["colour"] == {"exact": 0.5, "records": 2}
