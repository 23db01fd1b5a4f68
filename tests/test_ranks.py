"""Ranks compare what they are about to read, before the first batch."""

from llava_fast.ranks import compare
from tests import tiny_data
from tests.ranks import run_ranks
from tests.tiny_data import PACK


def test_two_ranks(tmp_path):
    """(settings of each rank, what both are told; None = both read)."""
    for name, count in (("a", 20), ("b", 21)):
        tiny_data.write(tmp_path / name, count)
    same, other = {"folder": str(tmp_path / "a")}, {"folder": str(tmp_path / "b")}
    cases = [
        ([same, same], None),
        ([same | {"seed": 0}, same | {"seed": 1}], "`seed` is 0 on rank 0 and 1 on rank 1"),
        (
            [same, same | {"pack_tokens": 2 * PACK}],
            f"`pack_tokens` is {PACK} on rank 0 and {2 * PACK} on rank 1",
        ),
        (
            [same, same | {"format": "native"}],
            "`layout` is 'packed' on rank 0 and 'native' on rank 1",
        ),
        ([same | {"rank": 1}, same], "rank=1 is given to 2 of 2 processes"),
        ([same | {"rank": 0, "world_size": 1}] * 2, None),
        ([same, other], "the ranks would read different streams: `data` is "),
    ]
    seen = run_ranks("lengths_of_passes", [options for options, _ in cases])
    for (_, message), first, second in zip(cases, *seen, strict=True):
        if message is None:
            assert first == second
            assert first[0] == first[1] > 0
        else:
            assert message in first
            assert first == second


def test_nothing_to_compare_without_ranks():
    compare({"seed": 0}, 0, 1)
    compare({"seed": 0}, 0, 2)
