"""What the Rust tests hold of JPEGs that were cut is what Pillow shows."""

import json

from tests.data import make_cuts


def test_the_committed_files_and_fingerprints():
    made = make_cuts.files()
    stored = json.loads((make_cuts.CUTS / "INDEX.json").read_text())
    assert stored.keys() == made.keys()
    for name, data in made.items():
        assert (make_cuts.CUTS / name).read_bytes() == data, name
    shown = make_cuts.index(made)
    assert stored == {name: [list(cut) for cut in cuts] for name, cuts in shown.items()}
