"""What one rank of `tests.ranks.run_ranks` does: train on batches, say which records they held."""

import json
import sys
from itertools import islice
from pathlib import Path

from llava_fast import DataLoader
from tests import tiny_data
from tests.frameworks import Recognizer, tiny_llava
from tests.tiny_data import PACK


def main(case, arguments):
    result = globals()[case](*json.loads(arguments))
    sys.stdout.flush()
    print(json.dumps(result), flush=True)


def accelerate_own_shares(folder):
    """rank and world_size given: Accelerate wraps the model only. Two epochs of training.

    The last layer of the tower is never used, and the projector not by a pack without pictures.
    """
    import torch
    from accelerate import Accelerator, DistributedDataParallelKwargs

    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=True, kwargs_handlers=[unused])
    dataset = tiny_data.dataset(Path(folder))
    loader = DataLoader(
        dataset,
        pack_tokens=PACK,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    model = tiny_llava(dataset.tokenizer)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.1))
    recognize, seen = Recognizer(dataset), []
    for _ in range(2):
        seen.append([])
        for batch in loader:
            seen[-1].append(recognize(batch))
            accelerator.backward(model(**batch).loss)
            optimizer.step()
            optimizer.zero_grad()
    return seen


def accelerate_prepared(folder, skipped):
    """Accelerate deals out the batches of one loader; `skipped` of its batches are passed over."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    dataset = tiny_data.dataset(Path(folder))
    loader = accelerator.prepare(DataLoader(dataset, pack_tokens=PACK))
    recognize = Recognizer(dataset)
    seen = [[recognize(batch) for batch in loader] for _ in range(2)]
    loader.set_epoch(1)
    rest = accelerator.skip_first_batches(loader, skipped)
    return [*seen, [recognize(batch) for batch in rest]]


def accelerate_twice(folder):
    """rank and world_size given, and prepared all the same: what is said about it."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    place = {"rank": accelerator.process_index, "world_size": accelerator.num_processes}
    loader = DataLoader(tiny_data.dataset(Path(folder)), pack_tokens=PACK, **place)
    try:
        list(islice(accelerator.prepare(loader), 4))
    except ValueError as error:
        return str(error)
    return "nothing"


def trainer(folder, out):
    """The Trainer of transformers with the rank's own loader, two epochs."""
    from transformers import Trainer, TrainingArguments

    dataset = tiny_data.dataset(Path(folder))
    recognize, seen = Recognizer(dataset), []

    class Recorded(Trainer):
        def get_train_dataloader(self):
            place = {"rank": self.args.process_index, "world_size": self.args.world_size}
            return DataLoader(self.train_dataset, pack_tokens=PACK, **place)

        def training_step(self, model, inputs, *rest, **more):
            seen.append(recognize(inputs))
            return super().training_step(model, inputs, *rest, **more)

    settings = TrainingArguments(
        out, num_train_epochs=2, report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no"
    )
    Recorded(tiny_llava(dataset.tokenizer), settings, train_dataset=dataset).train()
    return seen


def lightning(folder):
    """Lightning with two devices, its own sharding switched off, two epochs."""
    import lightning as L

    from tests.test_lightning import Learner

    dataset = tiny_data.dataset(Path(folder))
    learner = Learner(dataset)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    loop = L.Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp_find_unused_parameters_true",
        max_epochs=2,
        use_distributed_sampler=False,
        enable_model_summary=False,
        **options,
    )
    loader = DataLoader(dataset, pack_tokens=PACK, rank=loop.global_rank, world_size=2)
    loop.fit(learner, loader)
    return learner.seen


def lengths_of_passes(options):
    """Batches of two passes for each of `options`, one per rank each, or why there are none."""
    import torch.distributed as dist

    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    results = []
    for cases in options:
        own = {"pack_tokens": PACK, "rank": rank, "world_size": world} | cases[rank]
        loader = DataLoader(tiny_data.dataset(Path(own.pop("folder"))), **own)
        try:
            results.append([len(list(loader)) for _ in range(2)])
        except ValueError as error:
            results.append(str(error))
    dist.destroy_process_group()
    return results
