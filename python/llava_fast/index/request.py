"""What `llava-fast index` is asked for."""

import sys
from dataclasses import dataclass
from typing import Any

from llava_fast import _rust
from llava_fast.checks import LARGEST_COUNT, integer, reading
from llava_fast.config import ImageConfig
from llava_fast.mixture import mixture
from llava_fast.template import stop_note
from llava_fast.text import Tokenizer, template_text


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `llava-fast index`; None = not given.

    data: as in `LlavaDataset`. tokenizer: directory. template: name or `.json` file. images: a
    folder, `.zip` or `.tar`, or several in braces. compat, keep_leading_answer, index_dir: as in
    `LlavaDataset`. check: only look at the data. decode: look at every pixel, not only at the
    headers. bad_list: file to write the bad records to. fresh: count anew what is kept.
    """

    data: str
    tokenizer: str
    template: str = "v1"
    images: str | None = None
    image_size: int | None = None
    image_mode: str | None = None
    max_length: int = 2048
    threads: int | None = None
    compat: str = "strict"
    keep_leading_answer: bool = False
    index_dir: str | None = None
    check: bool = True
    decode: bool = False
    bad_list: str | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        integer("max-length", self.max_length, 1, LARGEST_COUNT)
        if self.threads is not None:
            integer("threads", self.threads, 1, 1024)
        if not self.check and (self.decode or self.bad_list is not None):
            raise ValueError("index: --decode and --bad-list go with --check")
        if self.check and self.fresh:
            raise ValueError("index: --fresh does not go with --check, which counts anew")
        # An unknown word is a wrong call too.
        _ = self.image, self.reading

    @property
    def image(self) -> ImageConfig:
        """The defaults, except for what is given."""
        given = {"size": self.image_size, "mode": self.image_mode}
        return ImageConfig(**{key: value for key, value in given.items() if value is not None})

    @property
    def reading(self) -> tuple[bool, bool]:
        """How records are read that are not as they should be."""
        return reading(self.compat, self.keep_leading_answer)

    @property
    def look(self) -> str:
        """How closely pictures are looked at."""
        return "pixels" if self.decode else "header"

    @property
    def settings(self) -> dict[str, Any]:
        """What every report begins with."""
        return {
            "data": self.data,
            "template": _rust.template_name(template_text(self.template)),
            "max_length": self.max_length,
            "image_mode": self.image.mode,
            "image_size": self.image.size,
        }

    def open(self) -> _rust.Dataset:
        """The data set; a note goes to stderr where its template ends answers in an odd way.

        Raises DataError for data that cannot be read at all.
        """
        template = template_text(self.template)
        tokenizer = Tokenizer.from_pretrained(self.tokenizer)
        if note := stop_note(tokenizer, template):
            print(f"note: {note}", file=sys.stderr)
        data = mixture(self.data)
        return _rust.Dataset(
            _rust.Records(data.parts, data.seed, self.index_dir),
            images=data.images(self.images),
            follow_links=False,
            tokenizer=tokenizer._core,
            template=template,
            image=self.image,
            max_length=self.max_length,
            reading=self.reading,
            cache=None,
        )
