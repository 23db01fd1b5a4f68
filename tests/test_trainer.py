"""Our loader in the Trainer of transformers: the batches, a resumed run, evaluation."""

import math
from itertools import islice

import pytest
import torch
from transformers import LlavaForConditionalGeneration, Trainer, TrainingArguments

from llava_fast import DataLoader
from tests import tiny_data
from tests.frameworks import Recognizer, epochs, flat, tiny_llava
from tests.ranks import run_ranks
from tests.tiny_data import PACK


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainer")
    tiny_data.write(folder, 40)
    return folder


@pytest.fixture(scope="module")
def dataset(folder):
    return tiny_data.dataset(folder)


class Recorded(Trainer):
    """Keeps the record numbers of each batch that is trained on; `prepared`: as Accelerate does."""

    prepared = False

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.seen, self.recognize = [], Recognizer(self.train_dataset)

    def get_train_dataloader(self):
        loader = DataLoader(self.train_dataset, pack_tokens=PACK)
        return self.accelerator.prepare(loader) if self.prepared else loader

    def get_eval_dataloader(self, eval_dataset=None):
        return DataLoader(eval_dataset or self.eval_dataset, batch_size=4, shuffle=False)

    def training_step(self, model, inputs, *rest, **more):
        self.seen.append(self.recognize(inputs))
        return super().training_step(model, inputs, *rest, **more)


class Prepared(Recorded):
    prepared = True


def settings(out, **options):
    chosen = {"num_train_epochs": 2, "save_strategy": "no", "learning_rate": 1e-3} | options
    return TrainingArguments(
        str(out),
        gradient_accumulation_steps=2,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **chosen,
    )


@pytest.mark.parametrize("kind", [Recorded, Prepared])
def test_two_epochs(dataset, tmp_path, kind):
    """Every record once per epoch, in our order, never through a cache, which joins documents."""
    caches = []
    model = tiny_llava(dataset.tokenizer)
    model.model.language_model.register_forward_hook(
        lambda module, inputs, output: caches.append(output.past_key_values)
    )
    trainer = kind(model, settings(tmp_path), train_dataset=dataset)
    trainer.train()
    first, second = epochs(dataset, 2, pack_tokens=PACK)
    assert trainer.seen == first + second
    assert flat(first) == flat(second) == list(range(len(dataset)))
    assert caches
    assert set(caches) == {None}
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert len(losses) == 2 * math.ceil(len(first) / 2)
    assert losses[-1] < losses[0]


def test_the_loss_is_the_mean_over_all_targets_of_an_update(dataset, tmp_path):
    """Of two packs here; the first label of a document is none, so all are counted alike."""
    model = tiny_llava(dataset.tokenizer)
    still = settings(tmp_path, learning_rate=0.0, max_steps=3)
    trainer = Recorded(model, still, train_dataset=dataset)
    trainer.train()
    with torch.no_grad():
        parts = [
            (float(model(**batch).loss), int((batch["labels"] != -100).sum()))
            for batch in islice(DataLoader(dataset, pack_tokens=PACK), 6)
        ]
    logged = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    for found, (one, first), (two, second) in zip(logged, parts[::2], parts[1::2], strict=True):
        assert found == pytest.approx((one * first + two * second) / (first + second), abs=1e-4)


@pytest.mark.parametrize("kind", [Recorded, Prepared])
def test_resumed_inside_the_second_epoch(tmp_path, kind):
    """The rest of the batches, without a look at the pictures of those before, and the same end."""
    records = tiny_data.write(tmp_path, 40)
    dataset = tiny_data.dataset(tmp_path)
    saving = {"save_strategy": "steps", "save_steps": 9}
    whole = kind(tiny_llava(dataset.tokenizer), settings(tmp_path, **saving), train_dataset=dataset)
    whole.train()
    checkpoint = tmp_path / "checkpoint-9"
    length = len(whole.seen) // 2
    done = length + 2 * (9 - math.ceil(length / 2))
    assert length < done < len(whole.seen)

    model = LlavaForConditionalGeneration.from_pretrained(checkpoint)
    resumed = kind(model, settings(tmp_path, **saving), train_dataset=dataset)
    for record in flat(whole.seen[length:done]):
        (tmp_path / records[record].get("image", "none")).unlink(missing_ok=True)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert resumed.seen == whole.seen[done:]
    expected = whole.model.state_dict()
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, expected[name]), name


def test_trainer_itself_does_not_restore_the_weights(dataset, tmp_path):
    """Why README loads the model from the checkpoint: its names there are older than the model's,
    and Trainer passes over names that it does not know. If this fails, the advice can go."""
    saving = settings(tmp_path, save_strategy="steps", save_steps=2, max_steps=2)
    trained = Recorded(tiny_llava(dataset.tokenizer), saving, train_dataset=dataset)
    trained.train()
    fresh = tiny_llava(dataset.tokenizer, seed=1)
    before = {name: weight.clone() for name, weight in fresh.state_dict().items()}
    resumed = Recorded(fresh, saving, train_dataset=dataset)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert all(torch.equal(weight, before[name]) for name, weight in fresh.state_dict().items())


def test_evaluated_on_padded_batches(dataset, tmp_path):
    """In the midst of training, twice the same; the loss is the mean over the batches."""
    tiny_data.write(tmp_path / "held_out", 10, seed=7)
    held_out = tiny_data.dataset(tmp_path / "held_out")
    model = tiny_llava(dataset.tokenizer)
    trainer = Recorded(
        model,
        settings(tmp_path / "out", eval_strategy="steps", eval_steps=4, max_steps=8),
        train_dataset=dataset,
        eval_dataset=held_out,
        compute_metrics=accuracy,
    )
    trainer.train()
    first, second = epochs(dataset, 2, pack_tokens=PACK)
    assert trainer.seen == (first + second)[: len(trainer.seen)]
    rounds = [line for line in trainer.state.log_history if "eval_loss" in line]
    assert [line["step"] for line in rounds] == [4, 8]

    first, second = trainer.evaluate(), trainer.evaluate()
    assert first["eval_loss"] == second["eval_loss"] == rounds[-1]["eval_loss"]
    loss, hits, targets = by_hand(model, held_out)
    assert first["eval_loss"] == pytest.approx(loss, rel=1e-5)
    assert first["eval_accuracy"] == pytest.approx(hits / targets)


def accuracy(predictions):
    logits, labels = predictions.predictions, predictions.label_ids
    logits = logits[0] if isinstance(logits, tuple) else logits
    learned = labels[:, 1:] != -100
    hits = logits[:, :-1].argmax(-1) == labels[:, 1:]
    return {"accuracy": (hits & learned).sum() / learned.sum()}


@torch.no_grad()
def by_hand(model, held_out):
    """Mean loss of the batches, tokens predicted and tokens to predict."""
    losses, hits, targets = [], 0, 0
    for batch in DataLoader(held_out, batch_size=4, shuffle=False):
        out = model(**batch)
        labels = batch["labels"][:, 1:]
        losses.append(float(out.loss))
        hits += int((out.logits[:, :-1].argmax(-1) == labels)[labels != -100].sum())
        targets += int((labels != -100).sum())
    return sum(losses) / len(losses), hits, targets


def test_two_ranks(dataset, folder, tmp_path):
    """Equally many steps, every record once on one rank, by rank and world_size of our loader."""
    ranks = run_ranks("trainer", str(folder), str(tmp_path))
    shares = [epochs(dataset, 2, pack_tokens=PACK, rank=rank, world_size=2) for rank in range(2)]
    assert ranks == [first + second for first, second in shares]
    assert flat(shares[0][0] + shares[1][0]) == list(range(len(dataset)))
