"""Our loader in TRL's SFTTrainer, which checks and prepares a data set of its own kind."""

from itertools import islice

import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from llava_fast import DataLoader
from tests import tiny_data
from tests.frameworks import Recognizer, epochs, tiny_llava
from tests.tiny_data import PACK, TOKENIZERS

SHAPES = [{"pack_tokens": PACK}, {"batch_size": 4}]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trl")
    tiny_data.write(folder, 40)
    return tiny_data.dataset(folder)


class Recorded(SFTTrainer):
    """With our loaders; keeps the record numbers of each batch that is trained on."""

    loader = held_out = None

    def get_train_dataloader(self):
        return self.loader

    def get_eval_dataloader(self, eval_dataset=None):
        return self.held_out

    def training_step(self, model, inputs, *rest, **more):
        self.seen.append(self.recognize(inputs))
        return super().training_step(model, inputs, *rest, **more)

    def logged(self, key):
        return [line[key] for line in self.state.log_history if key in line]


def sft(model, dataset, out, **options):
    chosen = {"num_train_epochs": 2, "learning_rate": 1e-3} | options
    settings = SFTConfig(
        str(out),
        report_to=[],
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        logging_steps=1,
        save_strategy="no",
        dataset_kwargs={"skip_prepare_dataset": True},
        **chosen,
    )
    # The trainer looks at the columns of a data set, and only there.
    rows = Dataset.from_dict({"record": range(len(dataset))})
    words = AutoTokenizer.from_pretrained(TOKENIZERS / "sp_legacy")
    trainer = Recorded(
        model, settings, train_dataset=rows, eval_dataset=rows, processing_class=words
    )
    trainer.recognize, trainer.seen = Recognizer(dataset), []
    return trainer


@pytest.mark.parametrize("shape", SHAPES)
def test_two_epochs(dataset, tmp_path, shape):
    trainer = sft(tiny_llava(dataset.tokenizer), dataset, tmp_path)
    trainer.loader = DataLoader(dataset, **shape)
    trainer.train()
    first, second = epochs(dataset, 2, **shape)
    assert trainer.seen == first + second
    losses = trainer.logged("loss")
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_loss_is_that_of_the_model(dataset, tmp_path, shape):
    """TRL computes it in pieces of its own, over all targets of the packs of one update."""
    model = tiny_llava(dataset.tokenizer)
    options = {"learning_rate": 0.0, "max_steps": 3, "gradient_accumulation_steps": 2}
    trainer = sft(model, dataset, tmp_path, **options)
    trainer.loader = DataLoader(dataset, **shape)
    trainer.train()
    loader = DataLoader(dataset, **shape)
    parts = [loss_and_targets(model, batch) for batch in islice(loader, 6)]
    for logged, first, second in zip(trainer.logged("loss"), parts[::2], parts[1::2], strict=True):
        total, targets = first[0] + second[0], first[1] + second[1]
        assert float(logged) == pytest.approx(total / targets, abs=1e-4)


def test_evaluated_on_padded_batches(dataset, tmp_path):
    model = tiny_llava(dataset.tokenizer)
    trainer = sft(model, dataset, tmp_path)
    trainer.held_out = DataLoader(dataset, batch_size=4, shuffle=False)
    expected = [loss_and_targets(model, batch) for batch in trainer.held_out]
    mean = sum(loss / targets for loss, targets in expected) / len(expected)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(mean, abs=1e-4)


@torch.no_grad()
def loss_and_targets(model, batch):
    """Sum of the losses of a batch, and over how many targets."""
    targets = int((batch["labels"][:, 1:] != -100).sum())
    return float(model(**batch).loss) * targets, targets
