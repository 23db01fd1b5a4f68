"""Pictures in many archives: lists, braces, folders of shards; names that two of them have."""

import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from llava_fast import DataError, DataLoader, ImageError, LlavaDataset
from llava_fast.braces import expanded, places
from tests import tiny_data
from tests.archives import OTHER, PICTURE, dataset, expected_pixels, pixels, write_tar, write_zip
from tests.scale import scaled

IN_BASH = [
    "/p/{a,b}.json",
    "s/{00000..00012}.tar",
    "{8..11}",
    "{08..11}",
    "{3..1}",
    "{0..10..5}",
    "{5..-3..3}",
    "{1..3..-1}",
    "{-01..1}",
    "{a}",
    "{}",
    "{a",
    "a}",
    "{a,b}}",
    "{{a,b}",
    "x{a,{1..3}}y",
    "{a,b}{c,d}",
    "{1..3}-{a,b{c,d}}",
    "{{a,b}}",
    "{{1..2},x}",
    "{a{1..2}}",
    "{00..0}",
    "{a,b}{1..2}{x,y{3..4}}",
]


RANGES = ["{1..3}", "{03..1}", "{-1..01}", "{1..9..4}"]


def pattern(rng: random.Random, depth: int = 2) -> str:
    """Braces that mean something, in each other and beside each other."""
    parts = []
    for _ in range(rng.randint(1, 2)):
        kind = rng.randrange(3 if depth else 2)
        if kind == 0:
            parts.append(rng.choice(["a", "1", "03", "x.", "}", "{a}", "{"]))
        elif kind == 1:
            parts.append(rng.choice(RANGES))
        else:
            inner = ",".join(pattern(rng, depth - 1) for _ in range(rng.randint(2, 3)))
            parts.append(f"{{{inner}}}")
    return "".join(parts)


def balanced(pattern: str) -> bool:
    """What the shell makes of braces without their counterpart depends on what else is there."""
    depth = 0
    for sign in pattern:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0


def test_braces_are_those_of_the_shell():
    rng = random.Random(6)
    made = [pattern(rng) for _ in range(scaled(3_000))]
    patterns = [*IN_BASH, *filter(balanced, made)]
    script = "\n".join(f"printf '%s\\x1f' {given}; printf '\\n'" for given in patterns)
    shell = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    for given, line in zip(patterns, shell.stdout.splitlines(), strict=True):
        # An empty word is a word here; the shell drops it.
        assert [word for word in expanded(given) if word] == line.split("\x1f")[:-1], given


def test_a_file_of_just_that_name_comes_first(tmp_path: Path):
    path = tmp_path / "{a,b}.tar"
    path.touch()
    assert expanded(str(path)) == [str(path)]
    assert places([path, str(tmp_path / "{c,d}")]) == (
        str(path),
        str(tmp_path / "c"),
        str(tmp_path / "d"),
    )


@pytest.mark.parametrize("pattern", ["{0..1000000}", "{0..999}" * 3, "{a,b}" * 200, "{1..9}" * 50])
def test_braces_that_stand_for_millions_are_refused(pattern: str):
    with pytest.raises(DataError, match="stands for more than 1000000 paths"):
        expanded(pattern)


def test_deep_braces_end():
    assert expanded("{" * 100_000)
    assert expanded("{a," * 5_000 + "b" + "}" * 5_000)


@pytest.mark.parametrize(
    ("images", "why"),
    [([], "got an empty list"), (3, "got a int, expected a path"), (["a", 3], "got a int in the")],
)
def test_what_is_no_place_is_refused(images: object, why: str):
    with pytest.raises(DataError, match=f"images: {why}"):
        places(images)  # type: ignore[arg-type]


def spread(folder: Path, shards: Path, count: int) -> list[Path]:
    """The pictures of a tiny data set over `count` archives, zips and tars in turn."""
    names = [record["image"] for record in tiny_data.write(folder, 24) if "image" in record]
    made = []
    for number in range(count):
        entries = {name: (folder / name).read_bytes() for name in names[number::count]}
        write = write_zip if number % 2 else write_tar
        suffix = "zip" if number % 2 else "tar"
        made.append(write(shards / f"{number:03d}.{suffix}", entries))
    return made


def tiny(folder: Path, images: object, **options: object) -> LlavaDataset:
    return LlavaDataset(
        folder / "train.json",
        images,
        tiny_data.tokenizer(),
        tiny_data.IMAGE,
        "v1_short",
        128,
        **options,
    )


def batches(data: LlavaDataset, **options: object) -> list[dict]:
    return list(DataLoader(data, pack_tokens=tiny_data.PACK, num_threads=2, **options))


def equal(ours: list[dict], theirs: list[dict]) -> bool:
    return all(
        a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a if torch.is_tensor(a[k]))
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("count", [1, 2, 7])
def test_batches_do_not_depend_on_how_many_archives_there_are(tmp_path: Path, count: int):
    folder, shards = tmp_path / "data", tmp_path / "shards"
    shards.mkdir()
    made = spread(folder, shards, count)
    expected = batches(tiny(folder, folder))
    (shards / ".index").write_text("not an archive, but hidden")
    pattern = f"{shards}/{{{','.join(path.name for path in made)}}}"
    for images in (made, shards, [shards], pattern if count > 1 else str(made[0])):
        assert equal(batches(tiny(folder, images)), expected)


def test_a_folder_and_archives_together(tmp_path: Path):
    folder, shards = tmp_path / "data", tmp_path / "shards"
    shards.mkdir()
    made = spread(folder, shards, 3)
    loose = tmp_path / "loose"
    loose.mkdir()
    expected = batches(tiny(folder, folder))
    with_tar = [path for path in made if path.suffix == ".zip"]
    for path in made:
        if path.suffix == ".tar":
            subprocess.run(["tar", "xf", path, "-C", loose], check=True)
    assert equal(batches(tiny(folder, [loose, *with_tar])), expected)
    found = dataset([loose, *with_tar], ["missing.jpg"], on_bad_sample="skip")
    _ = found[0]
    assert "no entry of that name" in found.bad[0].message
    loose_only = dataset([loose, tmp_path / "data"], ["missing.jpg"], on_bad_sample="skip")
    _ = loose_only[0]
    assert "no file of that name in 2 folders" in loose_only.bad[0].message


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_share_shards(tmp_path: Path, method: str):
    folder, shards = tmp_path / "data", tmp_path / "shards"
    shards.mkdir()
    spread(folder, shards, 3)
    data = tiny(folder, shards)
    expected = batches(data)
    found = batches(data, num_workers=2, multiprocessing_context=method)
    assert equal(found, expected)


def test_a_folder_with_anything_else_is_a_folder(tmp_path: Path):
    write_tar(tmp_path / "a.tar", {"a.jpg": PICTURE})
    assert torch.equal(pixels(tmp_path, "a.jpg"), expected_pixels())
    (tmp_path / "b.jpg").write_bytes(PICTURE)
    with pytest.raises(ImageError, match=r"`a.jpg`: no such file"):
        pixels(tmp_path, "a.jpg")
    assert torch.equal(pixels(tmp_path, "b.jpg"), expected_pixels())


def test_a_shard_that_is_none_is_named(tmp_path: Path):
    write_tar(tmp_path / "0.tar", {"a.jpg": PICTURE})
    (tmp_path / "1.tar").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"1.tar` is neither a folder nor a zip or tar"):
        dataset(tmp_path, ["a.jpg"])
    with pytest.raises(DataError, match=r"2.tar` is no folder, zip or tar: no such file"):
        dataset(f"{tmp_path}/{{0,2}}.tar", ["a.jpg"])


def test_the_same_archive_twice_is_refused(tmp_path: Path):
    path = write_tar(tmp_path / "0.tar", {"a.jpg": PICTURE})
    (tmp_path / "link.tar").symlink_to(path)
    for other in (path, tmp_path / "link.tar"):
        with pytest.raises(DataError, match=f"`{path}` and `{other}` are the same archive"):
            dataset([path, other], ["a.jpg"])


def test_a_name_in_two_places_is_refused_with_both(tmp_path: Path):
    first = write_tar(tmp_path / "0.tar", {"a.jpg": PICTURE, "b.jpg": PICTURE, "d/x.jpg": PICTURE})
    second = write_zip(tmp_path / "1.zip", {"a.jpg": OTHER, "c.jpg": PICTURE, "d/y.jpg": PICTURE})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "c.jpg").write_bytes(OTHER)
    where = [first, second, folder]
    for name, one, other in (("a.jpg", first, second), ("c.jpg", folder, second)):
        with pytest.raises(ImageError) as error:
            pixels(where, name)
        why = f"`{one}` and `{other}` both have an entry of that name"
        assert f"image `{name}`: {why}" in str(error.value)
    for name in ("b.jpg", "d/x.jpg", "./d//y.jpg"):
        assert torch.equal(pixels(where, name), expected_pixels())


def test_folders_of_one_name_are_no_conflict(tmp_path: Path):
    for number in range(2):
        place = tmp_path / f"in{number}" / "train"
        place.mkdir(parents=True)
        (place / f"{number}.jpg").write_bytes(PICTURE)
        subprocess.run(
            ["tar", "cf", tmp_path / f"{number}.tar", "train"], cwd=place.parent, check=True
        )
    for number in range(2):
        found = pixels([tmp_path / "0.tar", tmp_path / "1.tar"], f"train/{number}.jpg")
        assert torch.equal(found, expected_pixels())


def test_a_missing_name_says_where_it_was_looked_for(tmp_path: Path):
    shards = [write_tar(tmp_path / f"{n}.tar", {f"train/{n}.jpg": PICTURE}) for n in range(3)]
    with pytest.raises(ImageError) as error:
        pixels(shards, "2.jpg")
    where = f"archives `{shards[0]}` to `{shards[2]}`"
    why = "no entry of that name; did you mean `train/2.jpg`?"
    assert f"image `2.jpg`: {where}: {why}" in str(error.value)
    with pytest.raises(ImageError, match="leads out of the archive"):
        pixels(shards, "../2.jpg")


def test_a_mixture_names_shards(tmp_path: Path):
    folder, shards = tmp_path / "data", tmp_path / "shards"
    shards.mkdir()
    spread(folder, shards, 3)
    expected = batches(tiny(folder, folder))
    for images in (
        "shards",
        "shards/{000.tar,001.zip,002.tar}",
        ["shards/000.tar", "shards/00{1.zip,2.tar}"],
    ):
        mix = tmp_path / "mix.yaml"
        entry = {"json_path": "data/train.json", "images": images}
        mix.write_text(yaml.safe_dump({"datasets": [entry]}))
        data = LlavaDataset(mix, None, tiny_data.tokenizer(), tiny_data.IMAGE, "v1_short", 128)
        assert equal(batches(data), expected)


MANY = """
import resource, sys
from pathlib import Path
from tests.archives import dataset
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
shards = sorted(Path(sys.argv[1]).iterdir())
data = dataset(shards, [f"{n}.jpg" for n in range(len(shards))])
first = data[0]["pixel_values"]
assert all((data[n]["pixel_values"] == first).all() for n in range(len(shards)))
assert len(list(Path("/proc/self/fd").iterdir())) < 60
"""


def test_more_archives_than_descriptors(tmp_path: Path):
    for number in range(200):
        write_tar(tmp_path / f"{number:03d}.tar", {f"{number}.jpg": PICTURE})
    run = subprocess.run([sys.executable, "-c", MANY, tmp_path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_shard_that_is_exchanged_is_an_error_of_its_pictures(tmp_path: Path):
    shards = [write_tar(tmp_path / f"{n}.tar", {f"{n}.jpg": PICTURE}) for n in range(2)]
    data = dataset(shards, ["0.jpg", "1.jpg"])
    shards[1].write_bytes(shards[0].read_bytes())
    with pytest.raises(ImageError, match=r"1.tar`: the archive has changed since it was opened"):
        data[1]
    assert torch.equal(data[0]["pixel_values"], expected_pixels())


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_mutated_shards(tmp_path: Path, write: Callable[..., Path]):
    """Damage in one of two shards: the right picture, or a typed error; never another's."""
    good = write(tmp_path / "0", {f"{n}.jpg": PICTURE for n in range(3)}).read_bytes()
    whole = write(tmp_path / "1", {f"{n}.jpg": PICTURE for n in range(3, 6)})
    expected, rng, read = expected_pixels(), random.Random(4), 0
    for _ in range(scaled(3_000)):
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            at = rng.choice(
                [rng.randrange(len(damaged)), rng.randrange(-400, 0), rng.randrange(512)]
            )
            damaged[at] = rng.choice([ord("3"), ord("4"), rng.randrange(256)])
        (tmp_path / "0").write_bytes(damaged)
        try:
            data = dataset([tmp_path / "0", whole], [f"{n}.jpg" for n in range(6)])
        except DataError:
            continue
        for number in range(6):
            try:
                found = data[number]["pixel_values"]
            except ImageError:
                continue
            read += 1
            # Pixels of a tar have no checksum.
            assert write is write_tar or torch.equal(found, expected)
    assert read > 0


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_SELF"), reason="needs rusage")
def test_the_index_of_archives_is_small(tmp_path: Path):
    """At most 48 bytes an entry, names of 60 bytes not among them."""
    count = scaled(1_000_000, least=100_000)
    path = tmp_path / "large.tar"
    script = f"""
import resource, sys
from tests.archives import dataset
def now():
    return int(open('/proc/self/statm').read().split()[1]) * 4096
small = dataset(sys.argv[1], ['x'], on_bad_sample='skip')
before = now()
large = dataset(sys.argv[2], ['x'], on_bad_sample='skip')
print((now() - before) / {count})
"""
    small = write_tar(tmp_path / "small.tar", {"x": PICTURE})
    header = bytearray(write_tar(tmp_path / "one.tar", {"0" * 60: b""}).read_bytes()[:512])
    with path.open("wb") as file:
        total = sum(header) - sum(header[148:156]) + 8 * 32
        for number in range(count):
            name = b"%060d" % number
            header[:60] = name
            header[148:156] = b"%06o\0 " % (total + sum(name) - 60 * 48)
            file.write(header)
        file.write(bytes(1024))
    run = subprocess.run(
        [sys.executable, "-c", script, small, path], capture_output=True, text=True, check=True
    )
    path.unlink()
    assert float(run.stdout) <= 48, run.stdout
