"""Documents as token ids with labels, in right-padded batches.

Shapes: B documents, T tokens of the longest one.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .texts import Document

IGNORED = -100
BOS, EOS = 1, 2

Labelled = tuple[list[int], list[int]]  # ids and labels of one document


class Encoder:
    """Text to ids."""

    def __init__(self, tokenizer_json: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_json))
        self.pad_id: int = self._tokenizer.token_to_id("<pad>")

    def ids(self, text: str) -> list[int]:
        """Ids without control tokens."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def labelled(self, document: Document) -> Labelled:
        """The rendering that LLaVA training uses, with words in the place of the picture."""
        if document.exchanges:
            return self._dialogue(document)
        seen, said = self.ids(document.context), self.ids(document.continuation + "\n")
        return [BOS, *seen, *said], [IGNORED] * (1 + len(seen)) + said

    def _dialogue(self, document: Document) -> Labelled:
        """<s>USER: context\\nquestion ASSISTANT: answer</s>USER: question ASSISTANT: answer</s>"""
        ids, labels = [BOS], [IGNORED]
        before = [*self.ids("USER: "), *self.ids(document.context)]
        for number, (_, question, answer) in enumerate(document.exchanges):
            if number == 0:
                asked = before + self.ids(f"\n{question} ASSISTANT:")
            else:
                asked = self.ids(f"USER: {question} ASSISTANT:")
            said = [*self.ids(answer), EOS]
            ids += asked + said
            labels += [IGNORED] * len(asked) + said
        return ids, labels


def collate(documents: list[Labelled], pad_id: int) -> tuple[Tensor, Tensor]:
    """Ids and labels, both (B, T) int64."""
    length = max(len(ids) for ids, _ in documents)
    ids_BT = torch.full((len(documents), length), pad_id)
    labels_BT = torch.full((len(documents), length), IGNORED)
    for row, (ids, labels) in enumerate(documents):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
        labels_BT[row, : len(labels)] = torch.tensor(labels)
    return ids_BT, labels_BT
