"""Counts where the sizes of pictures decide: what is looked at again, and what is believed."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llava_fast import DataLoader, ImageConfig, ImageError, LlavaDataset, _rust
from tests import test_parquet, tiny_data
from tests.test_counts import counted, side_files

GRIDS = [[28, 56], [56, 28], [56, 56]]
ANYRES = ImageConfig(size=28, mode="anyres", grid_pinpoints=GRIDS)


def picture(path: Path, width: int, height: int) -> None:
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    tiny_data.write(tmp_path, 12)
    return tmp_path


def anyres(folder: Path, **options: object) -> LlavaDataset:
    return tiny_data.dataset(folder, image=ANYRES, **{"on_bad_sample": "skip"} | options)


def test_a_picture_that_was_missing_is_looked_for_again(pictures: Path) -> None:
    hidden = (pictures / "4.jpg").rename(pictures / "hidden")
    first = anyres(pictures)
    assert [(bad.record, bad.code) for bad in first.bad] == [(4, "missing_image")]
    assert first.lengths[4] == 0
    (path,) = side_files(pictures)
    size = path.stat().st_size
    assert anyres(pictures).bad == first.bad
    assert path.stat().st_size == size
    with pytest.raises(ImageError, match=r"record 4 \(id `r4`\).*image `4.jpg`"):
        anyres(pictures, on_bad_sample="raise")
    hidden.rename(pictures / "4.jpg")
    again = anyres(pictures)
    assert again.bad == []
    assert again.lengths[4] > 0
    assert (np.delete(again.lengths, 4) == np.delete(first.lengths, 4)).all()


def test_a_record_that_has_changed_since_is_a_hole_of_the_planned_length(pictures: Path) -> None:
    picture(pictures / "4.jpg", 30, 30)
    before = anyres(pictures)
    picture(pictures / "4.jpg", 100, 20)
    dataset = anyres(pictures)
    assert (dataset.lengths == before.lengths).all()
    loader = DataLoader(dataset, pack_tokens=tiny_data.PACK, format="native", shuffle=False)
    planned = dict.fromkeys(range(12), 0)
    for batch in loader:
        for record, length in zip(
            batch["records"].tolist(), batch["cu_seqlens"].diff().tolist(), strict=True
        ):
            planned[record] = length
    assert planned == dict(enumerate(dataset.lengths.tolist()))
    assert [(bad.record, bad.code) for bad in dataset.bad] == [(4, "changed_length")]
    fresh = counted(_rust.Counts(dataset._core, fresh=True))[0]
    assert fresh[4] != before.lengths[4]
    again = anyres(pictures)
    assert again.lengths.tolist() == fresh
    list(DataLoader(again, pack_tokens=tiny_data.PACK))
    assert again.bad == []


def views(dataset: LlavaDataset) -> list[int]:
    """Tokens of each record, encoded by itself."""
    samples = (dataset._core.view(number)[0] for number in range(len(dataset)))
    return [len(sample[0]) if sample else 0 for sample in samples]


def test_an_archive_that_was_replaced_is_counted_anew(pictures: Path) -> None:
    archive = pictures / "images.zip"

    def opened() -> LlavaDataset:
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(pictures.glob("*.[jp][pn]g")):
                file.write(path, path.name)
        data, tokenizer = pictures / "train.json", tiny_data.tokenizer()
        return LlavaDataset(data, str(archive), tokenizer, ANYRES, template="v1_short")

    picture(pictures / "4.jpg", 30, 30)
    before = opened()
    picture(pictures / "4.jpg", 100, 20)
    after = opened()
    assert before.lengths[4] != after.lengths[4]
    assert after.lengths.tolist() == views(after)


def test_pictures_in_the_file_of_the_records(tmp_path: Path) -> None:
    data = test_parquet.written(tmp_path, "images as structs")
    settings = {"image": ANYRES, "max_length": 4096}
    first = LlavaDataset(data, None, tiny_data.tokenizer(), **settings)
    assert first.lengths.tolist() == views(first)
    assert len(set(first.lengths.tolist())) > 3
    assert len(side_files(tmp_path)) == 1
    again = _rust.Counts(LlavaDataset(data, None, tiny_data.tokenizer(), **settings)._core)
    assert counted(again)[0] == first.lengths.tolist()
    assert again.found == again.total
