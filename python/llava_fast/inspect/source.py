"""Records, pictures and packs through the loader's own code, as views to show.

This is the core that `LlavaDataset` and `DataLoader` call, without torch. Records are read when
they are asked for; only packs and statistics need all of them.
"""

import json
from typing import TextIO

import numpy as np

from llava_fast import _rust
from llava_fast.braces import Places
from llava_fast.config import ImageConfig
from llava_fast.errors import DataError
from llava_fast.index.report import Report
from llava_fast.index.slices import slices
from llava_fast.inspect.pictures import described, header, reduced, restored
from llava_fast.inspect.views import Document, Fault, Pack, Picture, Record
from llava_fast.mixture import Data, mixture
from llava_fast.progress import Progress
from llava_fast.survey import survey
from llava_fast.template import Template, template_text
from llava_fast.text import Segment
from llava_fast.tokenizer import Tokenizer

_NOTHING = np.empty(0, np.int64)


class Source:
    """The records of a data file as a loader with these settings takes them.

    Arguments as in `LlavaDataset`, and what `checks.reading` makes of two of them. Raises DataError
    naming the file that cannot be used.
    """

    def __init__(
        self,
        data: Data,
        images: Places | None,
        tokenizer: Tokenizer,
        image: ImageConfig,
        template: Template,
        max_length: int,
        reading: tuple[bool, bool] = (False, False),
    ) -> None:
        files = mixture(data)
        self.name = files.name
        self.tokenizer = tokenizer
        self.image = image
        text = template_text(template)
        self.template = text
        self.template_name = _rust.template_name(text)
        self.max_length = max_length
        self._core = _rust.Dataset(
            _rust.Records(files.parts, files.seed),
            images=files.images(images),
            follow_links=False,
            tokenizer=tokenizer._core,
            template=text,
            image=image,
            max_length=max_length,
            reading=reading,
            cache=None,
        )

    def __len__(self) -> int:
        """Records, good or bad."""
        return len(self._core)

    def find(self, word: str) -> int:
        """The number of the record that `word` names by its number, else by its id.

        Raises ValueError if there is none.
        """
        if word.isascii() and word.isdigit() and str(int(word)) == word and int(word) < len(self):
            return int(word)
        for number in range(len(self)):
            text = self._text(number)
            # Looking is quicker than parsing; a backslash may hide what is looked for.
            if (word in text or "\\" in text) and _id(text, number) == word:
                return number
        raise ValueError(f"record: got `{word}`, expected 0..{len(self) - 1} or an id")

    def record(self, number: int, pixels: bool = False) -> Record:
        """Record `number`; a bad one says what is wrong. pixels: whether its pictures are kept.

        The pictures are decoded in any case, since a damaged one is a fault of the record.
        """
        text = self._text(number)
        name = _id(text, number)
        sample, bad, cut_rounds, paths, repairs = self._core.view(number)
        if sample is None:
            assert bad is not None
            return Record(number, name, text, _NOTHING, _NOTHING, [], fault=Fault(*bad[1:]))
        batch, worse, _ = self._core.batch([number], "padded", True, _rust.available_threads())
        ids, labels, starts, segments = sample
        squares = batch.get("pixel_values", [None] * len(paths))
        shown = [
            self._picture(number, path, int(start), tokens, values, pixels)
            for (path, tokens), start, values in zip(paths, starts, squares, strict=True)
        ]
        fault = Fault(*worse[0][1:]) if worse else None
        parts = [Segment(*segment) for segment in segments]
        return Record(
            number,
            name,
            text,
            ids,
            labels,
            parts,
            shown,
            repairs,
            cut_rounds=cut_rounds,
            fault=fault,
        )

    def _text(self, number: int) -> str:
        """A record as it is written; "" if that is no text."""
        try:
            return self._core.json(number)
        except DataError:
            return ""

    def _picture(
        self,
        record: int,
        path: str,
        start: int,
        tokens: int,
        values: np.ndarray | None,
        pixels: bool,
    ) -> Picture:
        """values: (3, S, S), or (tiles, 3, S, S), as the model gets them."""
        original = file = None
        try:
            content = self._core.picture(record, path)
            file = header(content, self.image.decode)
            if pixels:
                original = reduced(_rust.decode_image(content, self.image.decode))
        except ValueError:
            pass  # it is the fault of the record already
        squares = None if values is None else restored(values, self.image)
        became = described(self.image, 0 if squares is None else len(squares))
        return Picture(path, start, tokens, file, became, squares if pixels else None, original)

    def report(self, progress: TextIO) -> Report:
        """Every record looked at, as `llava-fast index --check` does, with the headers of pictures
        where a place for them is named; `progress` is told how far that is."""
        check = _rust.Check(self._core, "header")
        with Progress(len(self), progress) as said:
            for start, stop in slices(len(self)):
                check.advance(start, stop, _rust.available_threads())
                said.at(stop)
        settings = {
            "data": self.name,
            "template": self.template_name,
            "max_length": self.max_length,
            "image_mode": self.image.mode,
            "image_size": self.image.size,
        }
        return Report(settings | json.loads(check.report()))

    def packs(self, tokens: int, count: int) -> tuple[list[Pack], int]:
        """The first packs of the first epoch of `DataLoader(pack_tokens=tokens)`, and how many
        packs that epoch has."""
        lengths, images, *_ = survey(self._core, _rust.available_threads())
        if not lengths.any():
            raise DataError(f"`{self.name}`: none of the {len(self)} records is usable")
        stream = _rust.Stream(
            lengths,
            images,
            pack_tokens=tokens,
            batch_size=None,
            shuffle=True,
            drop_last=False,
            group_by_length=False,
            batches_per_step=1,
            seed=0,
            fingerprint=self._core.fingerprint,
        )
        epoch = stream.epoch(0, 0)
        steps = epoch.steps(1)
        shown = range(min(count, steps))
        return [self._pack(step, tokens, epoch.batch(step, 0, 1)) for step in shown], steps

    def _pack(self, step: int, room: int, records: list[int]) -> Pack:
        batch, bad, _ = self._core.batch(records, "packed", True, _rust.available_threads())
        faults = {record: code for record, code, _ in bad}
        borders = batch["cu_seq_lens_q"].tolist()
        learned, positions = batch["labels"][0] >= 0, batch["position_ids"][0].tolist()
        documents = [
            Document(
                record=record,
                id=_id(self._text(record), record),
                start=start,
                stop=stop,
                positions=(positions[start], positions[stop - 1]),
                supervised=int(learned[start:stop].sum()),
                fault=faults.get(record, ""),
            )
            for record, start, stop in zip(records, borders[:-1], borders[1:], strict=True)
        ]
        restarts = [place for place, position in enumerate(positions) if position == 0]
        return Pack(step, room, documents, restarts)


def _id(text: str, number: int) -> str:
    """The record's own id as far as it can be read, else its number."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return str(number)
    name = record.get("id") if isinstance(record, dict) else None
    return str(name) if isinstance(name, str | int) and not isinstance(name, bool) else str(number)
