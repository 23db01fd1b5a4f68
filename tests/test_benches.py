"""The benches themselves: arithmetic of the timer, form of the results, and gates that hold."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benches import goals, mixture, pictures, readme_table, results, timing
from benches.gates import EXACT, Bound, GateError, against_reference, identical, within_grey_levels
from llava_fast.config import CLIP_STD


class FakeMachine:
    """Calls that take the listed seconds in turn; CPU time is half of it."""

    def __init__(self, **durations: list[float]) -> None:
        self.now = 0.0
        self.order: list[str] = []
        self.left = {name: iter(seconds) for name, seconds in durations.items()}
        self.clock = timing.Clock(wall=lambda: self.now, cpu=lambda: self.now / 2)

    def call(self, name: str):
        def run() -> None:
            self.order.append(name)
            self.now += next(self.left[name])

        return run

    def compare(self, **options) -> timing.Comparison:
        return timing.compare(self.call("ours"), self.call("peer"), clock=self.clock, **options)


def test_ratio_is_the_median_over_pairs_not_of_medians():
    # Both sides slow down together in the third pair: the ratio of that pair stays what it is.
    machine = FakeMachine(ours=[9, 1, 1, 1, 10, 1, 1], peer=[9, 1, 2, 2, 20, 4, 3])
    measured = machine.compare(pairs=5, min_seconds=0.5)
    assert measured.wall.median == 2
    assert (measured.wall.low, measured.wall.high) == (2, 3)
    assert measured.cpu == measured.wall
    assert measured.ours == timing.Sample(wall=1, cpu=0.5)
    assert measured.peer == timing.Sample(wall=3, cpu=1.5)


def test_samples_alternate_after_warm_up():
    machine = FakeMachine(ours=[1] * 9, peer=[1] * 9)
    machine.compare(pairs=3, min_seconds=0.5, warm_up=2)
    assert machine.order == ["ours", "peer"] * 6


def test_short_calls_are_repeated_until_the_sample_is_long_enough():
    machine = FakeMachine(ours=[0.01] * 100, peer=[0.1] * 100)
    measured = machine.compare(pairs=2, min_seconds=0.2, warm_up=0)
    # One call to calibrate; then 2 samples of each side, of at least 0.2 s.
    assert machine.order.count("ours") == pytest.approx(1 + 2 * 21, abs=2)
    assert machine.order.count("peer") == pytest.approx(1 + 2 * 3, abs=2)
    assert measured.wall.median == pytest.approx(10)


def test_a_wide_spread_is_not_steady():
    assert timing.Ratio(2.0, 1.9, 2.2).steady
    assert not timing.Ratio(2.0, 1.5, 2.5).steady


def test_garbage_collector_is_off_inside_a_sample_and_back_on_after_an_error():
    import gc

    seen = []
    timing.compare(lambda: seen.append(gc.isenabled()), lambda: None, pairs=1, min_seconds=0)
    assert seen[-1] is False
    with pytest.raises(ZeroDivisionError):
        timing._sample(lambda: 1 / 0, 1, timing.Clock())
    assert gc.isenabled()


def test_cpu_time_counts_worker_processes():
    code = (
        "import multiprocessing, time\n"
        "from benches.timing import cpu_seconds\n"
        "def spin(queue):\n"
        "    end = time.process_time() + 0.3\n"
        "    while time.process_time() < end: pass\n"
        "    queue.put(1); time.sleep(5)\n"
        "context = multiprocessing.get_context('fork')\n"
        "queue = context.Queue()\n"
        "before = cpu_seconds()\n"
        "worker = context.Process(target=spin, args=(queue,), daemon=True); worker.start()\n"
        "queue.get(); print(cpu_seconds() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=results.ROOT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) >= 0.25


KEYS = {"bench", "case", "ours", "peer", "ratio", "spread", "exact", "unit", "path", "machine"}
KEYS |= {"versions", "commit", "setting", "error", "goal"}


def entry(**changes) -> results.Entry:
    plain = {
        "bench": "preprocess",
        "case": "crop",
        "ours": 1.0,
        "peer": 3.0,
        "ratio": 3.0,
        "spread": (2.9, 3.1),
        "cpu_ratio": 3.0,
        "exact": True,
        "unit": "ms/image",
        "path": "scalar",
    }
    return results.Entry(**plain | changes)


def test_results_have_the_published_keys(tmp_path: Path):
    path = results.write(tmp_path, "preprocess", [entry(), entry(case="pad", exact=False)])
    stored = json.loads(path.read_text())
    assert [row["case"] for row in stored] == ["crop", "pad"]
    assert stored[0].keys() > KEYS
    assert results.Entry(**stored[0]).ratio == 3.0
    assert stored[0]["versions"]["numpy"] == np.__version__


def test_committed_results_follow_the_schema():
    for path in results.RESULTS.glob("*.json"):
        stored = json.loads(path.read_text())
        rows = stored if isinstance(stored, list) else stored["results"]
        for row in rows:
            if row.keys() & {"missing", "most_seconds", "figure"}:
                assert asdict(results.row_of(row)) == row
                continue
            assert row.items() <= json.loads(json.dumps(asdict(results.Entry(**row)))).items()
            assert row["spread"][0] <= row["ratio"] <= row["spread"][1]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "x.json"
    results.write_json(path, [1])
    with pytest.raises(TypeError):
        results.write_json(path, [object()])
    assert json.loads(path.read_text()) == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_table_shows_ratio_and_quartiles():
    head, row = results.table([entry()]).splitlines()
    assert head.split()[:4] == ["bench", "case", "ours", "peer"]
    shown = "preprocess crop 1.000 3.000 ms/image 3.00 2.90-3.10 3.00 exact scalar"
    assert " ".join(row.split()) == shown
    measured = entry(exact=False, error=(2.0, 0.003), goal=(2.1, 2.6))
    assert "2 / 0.003" in results.table([measured])
    assert "2.1 / 2.6 met" in results.table([measured])
    assert "MISSED" in results.table([entry(goal=(3.5, 4.0))])


def test_a_missing_peer_has_a_row_in_the_json_and_in_every_table(tmp_path: Path):
    setting = readme_table.PREPROCESS["crop"] | {"peer": "x"}
    gone = results.Missing("preprocess", "coco, crop, Library X", setting, "x: not here")
    rows = results.read(results.write(tmp_path, "preprocess", [entry(setting={}), gone]))
    assert rows[1] == gone
    assert "missing: x: not here" in results.table(rows)
    assert "| Library X | missing |" in readme_table._matrix(rows, readme_table.PREPROCESS)
    assert "missing: x: not here" in readme_table._list([gone])


def test_a_run_with_limits_says_whether_they_are_kept(tmp_path: Path):
    kept = results.Limited("index", "--check", 30.0, 200.0, 60.0, 500.0)
    rows = results.read(results.write(tmp_path, "index", [entry(setting={}), kept]))
    assert rows[1] == kept
    assert "30.0 s, 200 MB; at most 60 s, 500 MB: met" in results.table(rows)
    for change in ({"seconds": 61.0}, {"megabytes": 501.0}):
        assert results.limits_text(replace(kept, **change)).endswith("MISSED")


@pytest.mark.parametrize(
    ("bench", "setting", "expected"),
    [
        ("preprocess", {"peer": "hf_pillow", "heap": "default"}, (5.0, 7.0)),
        ("preprocess", {"peer": "hf_pillow", "heap": "warm"}, (4.0, 4.6)),
        ("preprocess", {"peer": "hf_pillow", "heap": "default", "cores": 2}, None),
        ("preprocess", {"peer": "best_path", "heap": "default", "cpu": "avx2"}, (0.75, 1.0)),
        ("preprocess", {"peer": "pillow", "heap": "default", "cpu": "scalar"}, (1.0, 1.0)),
        ("preprocess", {"peer": "pillow", "heap": "default"}, None),
        ("decode", {"peer": "simplejpeg", "heap": "warm", "pictures": "coco"}, (1.15, 1.35)),
        ("decode", {"peer": "simplejpeg", "heap": "warm", "pictures": "progressive"}, (1.0, 1.2)),
        ("loader", {"peer": "CLIPImageProcessorPil", "workers": 2}, (5.0, 7.0)),
        ("loader", {"peer": "torchvision processor", "workers": 2}, (3.5, 5.0)),
        ("loader", {"peer": "CLIPImageProcessorPil", "workers": 1}, None),
    ],
)
def test_goals_belong_to_their_rows(bench: str, setting: dict, expected: tuple | None):
    assert goals.goal(bench, setting) == expected


def test_identical_is_about_bytes_dtype_and_shape():
    array = np.zeros((2, 3), np.float32)
    assert identical({"a": array}, {"a": array.copy()}).exact
    for other in (array - 0.0 * -1, array + 1e-7, array.astype(np.float64), array.reshape(3, 2)):
        changed = other if other.tobytes() != array.tobytes() else other.astype(np.int32)
        with pytest.raises(GateError):
            identical({"a": changed}, {"a": array})
    with pytest.raises(GateError, match="expected"):
        identical({}, {"a": array})


def grey(level: int, share: float) -> dict[str, np.ndarray]:
    """Normalised pixels of which `share` lie `level` grey levels above 0."""
    pixels = np.zeros((1, 3, 10, 100), np.float32)
    flat = pixels.reshape(3, -1)
    flat[:, : round(flat.shape[1] * share)] = level / 255 / np.array(CLIP_STD)[:, None]
    return {"pixel_values": pixels}


def test_grey_level_gate_states_what_it_measured():
    gate = within_grey_levels(most=2, share=0.01)
    verdict = gate(grey(2, 0.01), grey(0, 0))
    assert not verdict.exact
    assert verdict.note == "1.00% of the values differ, by up to 2 grey levels"
    assert gate(grey(1, 0.5), grey(1, 0.5)).exact
    for ours in (grey(3, 0.001), grey(1, 0.02)):
        with pytest.raises(GateError, match="grey levels"):
            gate(ours, grey(0, 0))


def test_both_sides_are_held_against_the_reference():
    reference = np.zeros((2, 5), np.float32)
    near = reference.copy()
    near[0, 0] = 0.5
    assert against_reference(reference, reference, reference, EXACT).error == (0, 0)
    verdict = against_reference(reference, near, reference, Bound(2.0, 0.2), scale=4.0)
    assert (verdict.exact, verdict.error) == (False, (2.0, pytest.approx(0.2)))
    for bound in (EXACT, Bound(0.4, 1), Bound(1, 0.04)):
        with pytest.raises(GateError):
            against_reference(reference, near, reference, bound)
    with pytest.raises(GateError, match="pixels"):
        against_reference(near, near, reference, Bound(9, 9))
    with pytest.raises(GateError, match="expected"):
        against_reference(reference, near[:1], reference, Bound(9, 9))


def test_made_pictures_are_like_cocos_and_the_same_every_time():
    files = pictures.made(12)
    assert files == pictures.made(12)
    *_, pixels, _, size, _, _, _ = pictures.describe(files).replace(",", "").split()
    assert 0.24 <= float(pixels) <= 0.34
    assert 0.4 <= float(size) <= 0.6


def test_made_mixtures_have_the_shape_of_llavas(tmp_path: Path):
    made = json.loads(mixture.write(tmp_path / "a.json", 2_000).read_text())
    lengths = [len(record["conversations"]) for record in made]
    text = [sum(len(turn["value"]) for turn in record["conversations"]) for record in made]
    # What "v1" writes around it: the system text, and two names in each round.
    prompts = np.array(text) + 166 + 10.5 * np.array(lengths)
    assert np.mean(lengths) == pytest.approx(12, rel=0.05)
    assert np.mean(prompts) == pytest.approx(1620, rel=0.1)
    assert sum("image" in record for record in made) == 2_000 * 15 // 16
    assert len({record["id"] for record in made}) == 2_000
    again = mixture.write(tmp_path / "b.json", 2_000).read_text()
    assert again == (tmp_path / "a.json").read_text()


def test_photographs_are_found_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "images" / "photos"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(pictures.made(1)[0])
    monkeypatch.setenv("LLAVA_FAST_FIXTURES", str(tmp_path))
    caches = (pictures.jpegs, pictures._photograph_files, pictures._originals)
    for cache in caches:
        cache.cache_clear()
    try:
        assert pictures.jpegs(3) != pictures.made(3)
    finally:
        for cache in caches:
            cache.cache_clear()
