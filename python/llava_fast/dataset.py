"""A checked LLaVA data set: records and pictures to model input."""

import os
from collections.abc import Sequence
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from llava_fast import _rust
from llava_fast.ahead import Made, ReadAhead
from llava_fast.bad import BadSample, BadSamples, Budget, Ledger, checked_budget
from llava_fast.braces import Places, places
from llava_fast.cache import GIBIBYTE, located
from llava_fast.checks import LARGEST_COUNT, integer, positive, reading
from llava_fast.config import ImageConfig
from llava_fast.errors import DataError
from llava_fast.mixture import Data, mixture
from llava_fast.stats import BatchOfWorker, Note, Spent
from llava_fast.stream import Plan
from llava_fast.survey import Survey, survey
from llava_fast.template import Template, template_text
from llava_fast.tokenizer import Tokenizer

Batch = dict[str, Any]

ON_BAD_SAMPLE = ("raise", "skip")
DEFAULT_IMAGE = ImageConfig()
# What a copy in another process makes anew.
DERIVED = ("_core", "_survey", "last_step", "fingerprint", "identity", "_cache_counts")


class LlavaDataset(Dataset[Batch]):
    """Conversations and pictures, checked and encoded.

    data: a file with a LLaVA JSON list or one record a line, parquet, or a tar of pairs; a list of
        files; several in braces, `/p/{a,b}.json`, `/p/{000..099}.tar`; a folder of such files; a
        `.yaml` mixture (`llava_fast.mixture`); or a list of records.
    images: folder, `.zip` or plain `.tar` that holds what the `image` paths name; several of them
        as a list, in braces (`shards/{000..099}.tar`), or a folder with nothing but archives in it.
        Nothing outside of them is read, and no name that two of them have. None: the paths are read
        as they are. A mixture can name others; parquet and tars of pairs have their own.
    follow_links: whether symbolic links in that folder may lead out of it.
    image: how pictures are preprocessed; its `output` is chosen by the loader's format.
    template: a name of `templates()`, or one of your own: an object or the path of a `.json` file.
    max_length: tokens; a longer conversation keeps its first whole rounds.
    on_bad_sample: "raise", or "skip": a bad record is left out of the plan, a picture that turns
        out bad while training leaves a hole of pad tokens without loss. Both are listed in `bad`.
    max_bad: how many bad samples "skip" lets through: a number, or a share of the records, which
        never stands for less than 100; 1.0 for any number. Beyond that, or at 100 in a row,
        DataError says what they have in common. A worker process or rank counts what it has met.
    ledger: file to which a JSON line is added for each bad sample: record, file, number in that
        file, id, image, code, message. What it lists already counts too.
    compat: "strict", or "llava": as LLaVA does, a picture without `<image>` is left out and several
        tags in one turn become one where there are more tags than pictures; both are counted.
    keep_leading_answer: keep and learn an answer before the first question, which LLaVA drops.
    cache, cache_bytes: folder for prepared pictures and its size, as in `ImageProcessor`.
    index_dir: folder for what is kept about the files of records, so that opening them again takes
        no time. None: `.llava_fast` beside each, or the user's cache folder where that cannot be
        written.
    read_timeout: seconds that reading a picture file may take; a read that does not end, as on a
        network file system that is gone, is written off as a bad sample.
    progress: whether to say on stderr how far the counting of tokens is; None: once it takes longer
        than two seconds, and in the first of several ranks.

    Every record is encoded once to learn its length, which is kept beside the data for the next
    time. No picture is opened, except with the mode "anyres", where the number of tokens depends on
    the size in the header of each.
    Raises DataError naming record number, id, file and cause.
    """

    def __init__(
        self,
        data: Data,
        images: Places | None,
        tokenizer: Tokenizer,
        image: ImageConfig = DEFAULT_IMAGE,
        template: Template = "v1",
        max_length: int = 2048,
        on_bad_sample: str = "raise",
        *,
        compat: str = "strict",
        keep_leading_answer: bool = False,
        follow_links: bool = False,
        cache: str | PathLike[str] | None = None,
        cache_bytes: int = 64 * GIBIBYTE,
        index_dir: str | PathLike[str] | None = None,
        read_timeout: float = 300.0,
        max_bad: Budget = 0.001,
        ledger: str | PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> None:
        if on_bad_sample not in ON_BAD_SAMPLE:
            raise ValueError(f"on_bad_sample: got `{on_bad_sample}`, expected `raise` or `skip`")
        self._data = mixture(data)
        self._images = places(images)
        self._follow_links = follow_links
        self._cache = located(cache, cache_bytes)
        self._index_dir = None if index_dir is None else os.path.abspath(index_dir)
        self.read_timeout = positive("read_timeout", read_timeout)
        self.tokenizer = tokenizer
        self.image = image
        self.template = template_text(template)
        self.max_length = integer("max_length", max_length, 1, LARGEST_COUNT)
        self.on_bad_sample = on_bad_sample
        self._reading = reading(compat, keep_leading_answer)
        listed = None if ledger is None else Ledger(ledger)
        max_bad = checked_budget(max_bad)
        self._open()
        self._progress = progress
        self._bad = BadSamples(self.name, len(self), max_bad, listed)
        self._bad.recall(self.describe)
        self._bad.add([BadSample(*row) for row in self._survey.bad], self.describe)

    def _open(self) -> None:
        self._core = _rust.Dataset(
            _rust.Records(self._data.parts, self._data.seed, self._index_dir),
            images=self._data.images(self._images),
            follow_links=self._follow_links,
            tokenizer=self.tokenizer._core,
            template=self.template,
            image=self.image,
            max_length=self.max_length,
            reading=self._reading,
            cache=self._cache,
            read_timeout=self.read_timeout,
        )
        self._cache_counts = (0, 0)
        self.last_step: tuple[int, int] | None = None

    @cached_property
    def _survey(self) -> Survey:
        return survey(self._core, _default_threads(), skip=self._skips, progress=self._progress)

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_fingerprint": self.fingerprint}
        for derived in DERIVED:
            state.pop(derived, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fingerprint = state.pop("_fingerprint")
        self.__dict__.update(state)
        self._open()
        if self.fingerprint != fingerprint:
            raise DataError(f"`{self.name}` has changed since the data set was opened")

    @property
    def _skips(self) -> bool:
        return self.on_bad_sample == "skip"

    @property
    def lengths(self) -> np.ndarray:
        """(records,) int32, tokens of each record; 0 = not usable."""
        return self._survey.lengths

    @property
    def image_counts(self) -> np.ndarray:
        """(records,) uint16, pictures of each record that are kept; 65535 also stands for more."""
        return self._survey.image_counts

    @property
    def name(self) -> str:
        """`data` as it was given; `records` for a list of them."""
        return self._data.name

    @property
    def total_images(self) -> int:
        """Pictures of all usable records together."""
        return int(self.image_counts.sum(dtype=np.int64))

    @property
    def repairs(self) -> dict[str, int]:
        """In how many usable records something was put right, by code: `misspelled_key`,
        `dropped_leading_answer`, `dropped_open_question`, `collapsed_tags`, `unused_image`,
        `shortened` (rounds that did not fit are cut off)."""
        return dict(self._survey.repairs)

    @property
    def mean_length(self) -> float:
        """Mean tokens of a usable record."""
        usable = self.lengths[self.lengths > 0]
        return float(usable.mean()) if usable.size else 0.0

    @cached_property
    def fingerprint(self) -> str:
        """Tells data, tokenizer, template, image settings and max_length from others; paths do not
        matter."""
        return f"{self._core.fingerprint:016x}"

    @cached_property
    def identity(self) -> dict[str, str | int]:
        """What the fingerprint is made of, by name: hashes of data, tokenizer, template, image and
        reading; max_length."""
        prints = {name: f"{value:016x}" for name, value in self._core.fingerprints()}
        return prints | {"max_length": self.max_length}

    @property
    def bad(self) -> list[BadSample]:
        """The records that could not be used so far, each once."""
        return self._bad.found

    def describe(self, record: int) -> dict[str, Any]:
        """Where a record comes from and what it names: its file, its number there, its id and the
        paths of its pictures, none of which is opened."""
        file, number, name, images = self._core.describe(record)
        return {"record": record, "file": file, "number": number, "id": name, "images": images}

    def note_bad(self, bad: Sequence[BadSample], records: Sequence[int] = ()) -> None:
        """A batch of `records` is handed out, of which these turned out bad.

        Raises DataError if `max_bad` does not let through as many.
        """
        self._bad.add(bad, self.describe)
        self._bad.follow(records, bad)

    def __len__(self) -> int:
        """Records, good or bad."""
        return len(self._core)

    def __getitem__(self, index: int) -> Batch:
        """One record: input_ids, labels, attention_mask (L,) int64, pixel_values (n, 3, S, S)."""
        record = range(len(self))[index]
        arrays, bad, _ = self._core.batch([record], "padded", self._skips, _default_threads())
        self.note_bad([BadSample(*row) for row in bad], [record])
        sample = _tensors(arrays)
        return {key: x if key == "pixel_values" else x[0] for key, x in sample.items()}

    def __getitems__(self, indices: list[int]) -> list[Batch]:
        """[finished batch] for a plan of our loader, samples for indices of another sampler."""
        if not isinstance(indices, Plan):
            return [self[index] for index in indices]
        self._refuse_second_sharding(indices)
        arrays, rows, spent = self._made(indices)
        bad = [BadSample(*row) for row in rows]
        note = self._note(indices, bad, Spent(*spent))
        batch = _tensors(arrays)
        if indices.run is None and indices.counted:
            return [BatchOfWorker(batch, list(indices), bad, note)]
        # In a worker process of another loader nobody else would take note.
        self.note_bad(bad, indices)
        if indices.run is not None:
            indices.run.note = note
        return [batch]

    def _made(self, plan: Plan) -> Made:
        run, order = plan.run, plan.order
        threads = order.threads or _default_threads()
        if run is None:
            # A worker process: others like it are what makes batches ahead here.
            return self._core.batch(list(plan), order.layout, self._skips, threads, plan.lengths)
        if run.ahead is None:
            settings = (self._core, order.layout, self._skips, threads)
            run.ahead = ReadAhead(settings, run.prefetch, self.read_timeout)
        return run.ahead.take(plan, run)

    def _note(self, plan: Plan, bad: list[BadSample], spent: Spent) -> Note:
        lengths = dict(zip(plan, plan.lengths, strict=True))
        for sample in bad:
            lengths.pop(sample.record, None)
        room = plan.order.room or len(plan) * max(plan.lengths, default=0)
        before, self._cache_counts = self._cache_counts, self._core.cache_counts()
        hits, misses = (now - then for now, then in zip(self._cache_counts, before, strict=True))
        codes = [sample.code for sample in bad]
        step, samples = plan.step, len(lengths)
        return Note(step, samples, sum(lengths.values()), room, codes, spent, (hits, misses))

    def _refuse_second_sharding(self, plan: Plan) -> None:
        """A rank has its own batches already; a framework that deals them out again loses data."""
        if plan.order.world_size == 1:
            return
        info = get_worker_info()
        expected = 1 if info is None else info.num_workers
        # Passes of several loaders may take turns in this process; a worker process serves one.
        asked = self if plan.run is None else plan.run
        epoch, last = asked.last_step or (plan.epoch, plan.step)
        asked.last_step = (plan.epoch, plan.step)
        if epoch == plan.epoch and plan.step - last > expected:
            raise DataError(
                f"sharded twice: the loader has world_size={plan.order.world_size} and something "
                "else deals out its batches too; leave rank and world_size to one of them"
            )


def _default_threads() -> int:
    """All that the machine grants; 1 inside a worker process, which has siblings."""
    return 1 if get_worker_info() is not None else _rust.available_threads()


def _tensors(arrays: dict[str, Any]) -> Batch:
    return {
        key: torch.from_numpy(x) if isinstance(x, np.ndarray) else x for key, x in arrays.items()
    }
