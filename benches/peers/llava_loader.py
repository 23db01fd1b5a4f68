"""LLaVA's dataset and collator in a torch DataLoader, written anew from their published behaviour
(`LazySupervisedDataset`, `DataCollatorForSupervisedDataset`)."""

import json
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from benches.peers import llava_text
from benches.peers.processors import SIZE, Batch
from benches.records import TOKENIZER


def fast_tokenizer():
    """The bench tokenizer as LLaVA's users have it: the fast class of transformers."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(TOKENIZER)


class LazyDataset(Dataset):
    """One record at a time: read, process, render, tokenise, mask."""

    def __init__(self, path: Path, folder: Path, tokenizer, process: Batch) -> None:
        self.records = json.loads(path.read_text(encoding="utf-8"))
        self.folder, self.tokenizer, self.process = folder, tokenizer, process

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        record = self.records[index]
        input_ids, labels = llava_text.encode(record, self.tokenizer)
        if "image" in record:
            file = (self.folder / record["image"]).read_bytes()
            image = self.process([file])["pixel_values"][0]
        else:
            image = torch.zeros(3, SIZE, SIZE)
        return {"input_ids": input_ids, "labels": labels, "image": image}


class Collate:
    """Pads a batch to its longest sample."""

    def __init__(self, pad: int, max_length: int) -> None:
        self.pad, self.max_length = pad, max_length

    def __call__(self, samples: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        input_ids = self._pad(samples, "input_ids", self.pad)
        return {
            "input_ids": input_ids,
            "labels": self._pad(samples, "labels", llava_text.IGNORE),
            "attention_mask": input_ids.ne(self.pad),
            "images": torch.stack([sample["image"] for sample in samples]),
        }

    def _pad(self, samples: list[dict], name: str, value: int) -> torch.Tensor:
        rows = [sample[name] for sample in samples]
        return pad_sequence(rows, batch_first=True, padding_value=value)[:, : self.max_length]


def loader(dataset: LazyDataset, batch_size: int, workers: int, max_length: int) -> DataLoader:
    """In record order, with torch's fast settings: workers stay alive and fetch ahead."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        collate_fn=Collate(dataset.tokenizer.pad_token_id, max_length),
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
    )
