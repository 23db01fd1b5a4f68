"""Our loader with Lightning: epochs, a checkpoint in the middle of one, validation, two devices."""

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from llava_fast import DataLoader
from tests import tiny_data
from tests.frameworks import Recognizer, epochs, flat, tiny_llava
from tests.ranks import run_ranks
from tests.tiny_data import PACK


class Learner(L.LightningModule):
    """Keeps the record numbers of each batch, in training and in validation."""

    def __init__(self, dataset, held_out=None):
        super().__init__()
        self.model = tiny_llava(dataset.tokenizer)
        self.recognize = Recognizer(dataset)
        self.held_out = held_out and Recognizer(held_out)
        self.seen, self.validated = [], []

    def training_step(self, batch, step):
        self.seen.append(self.recognize(batch))
        return self.model(**batch).loss

    def validation_step(self, batch, step):
        self.validated.append(self.held_out(batch))
        self.log("loss", self.model(**batch).loss, batch_size=len(batch["input_ids"]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lightning")
    tiny_data.write(folder, 40)
    return folder


@pytest.fixture(scope="module")
def dataset(folder):
    return tiny_data.dataset(folder)


def trainer(tmp_path, **options):
    chosen = {"max_epochs": 2, "enable_checkpointing": False} | options
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **chosen,
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_each_epoch_in_an_order_of_its_own(dataset, tmp_path, workers):
    learner = Learner(dataset)
    loader = DataLoader(dataset, pack_tokens=PACK, num_workers=workers)
    trainer(tmp_path).fit(learner, loader)
    first, second = epochs(dataset, 2, pack_tokens=PACK)
    assert learner.seen == first + second
    assert first != second


@pytest.mark.parametrize("workers", [0, 2])
def test_a_checkpoint_holds_the_place(dataset, tmp_path, workers):
    """Lightning stores `state_dict` of the loader: a run goes on inside the second epoch."""
    first, second = epochs(dataset, 2, pack_tokens=PACK)
    step = len(first) + 4
    kept = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=step, save_top_k=-1)
    options = {"enable_checkpointing": True, "callbacks": [kept]}

    def fit(learner, **place):
        loader = DataLoader(dataset, pack_tokens=PACK, num_workers=workers)
        trainer(tmp_path, **options).fit(learner, loader, **place)

    whole, resumed = Learner(dataset), Learner(dataset)
    fit(whole)
    fit(resumed, ckpt_path=tmp_path / f"step={step}.ckpt", weights_only=True)
    assert resumed.seen == second[4:]
    expected = whole.state_dict()
    for name, weight in resumed.state_dict().items():
        assert torch.equal(weight, expected[name]), name


def test_validation_between_the_steps(dataset, tmp_path):
    """The same padded batches each time, and none of the training's is lost for them."""
    tiny_data.write(tmp_path, 10, seed=7)
    held_out = tiny_data.dataset(tmp_path)
    learner = Learner(dataset, held_out)
    loaders = (
        DataLoader(dataset, pack_tokens=PACK),
        DataLoader(held_out, batch_size=4, shuffle=False),
    )
    trainer(tmp_path, val_check_interval=5, num_sanity_val_steps=1).fit(learner, *loaders)
    first, second = epochs(dataset, 2, pack_tokens=PACK)
    assert learner.seen == first + second
    numbers = [list(range(start, min(start + 4, 10))) for start in (0, 4, 8)]
    checks = 2 * (len(first) // 5)
    assert learner.validated == numbers[:1] + numbers * checks


def test_two_devices(dataset, folder):
    """Equally many steps, every record once on one of them."""
    ranks = run_ranks("lightning", str(folder))
    shares = [epochs(dataset, 2, pack_tokens=PACK, rank=rank, world_size=2) for rank in range(2)]
    assert ranks == [first + second for first, second in shares]
    assert flat(ranks[0][: len(shares[0][0])] + ranks[1][: len(shares[1][0])]) == list(range(40))
