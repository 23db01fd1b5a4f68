"""How much faster than each peer ours has to be, and hopes to be, on one core."""

# (bench, peer, heap or None for any) -> (must, reach), both as peer time / our time.
GOALS: dict[tuple[str, str, str | None], tuple[float, float]] = {
    ("preprocess", "hf_pillow", "default"): (5.0, 7.0),
    ("preprocess", "hf_pillow", "warm"): (4.0, 4.6),
    ("preprocess", "hf_torchvision", None): (2.1, 2.6),
    ("preprocess", "torchvision", None): (1.7, 2.0),
    ("preprocess", "torchcodec", None): (1.7, 2.0),
    ("preprocess", "opencv_area", None): (2.2, 2.9),
    ("preprocess", "opencv_cubic", None): (1.6, 2.0),
    ("preprocess", "kornia", None): (1.2, 1.4),
    ("preprocess", "one_thread", None): (1.85, 2.0),
    ("preprocess", "uncached", None): (8.0, 15.0),
    ("decode", "simplejpeg", None): (1.15, 1.35),
    ("tokenize", "llava_rule", None): (8.0, 20.0),
    ("tokenize", "encode_batch", None): (2.0, 4.0),
    ("loader", "CLIPImageProcessorPil", None): (5.0, 7.0),
    ("loader", "torchvision processor", None): (3.5, 5.0),
}
# Figures of ours by (bench, case): the bound, and whether it is a least value.
FIGURES: dict[tuple[str, str], tuple[float, bool]] = {
    ("pack", "use of 4,096 tokens, before the splits"): (95.0, True),
    ("pack", "use of 4,096 tokens"): (94.0, True),
    ("pack", "largest displacement"): (1100, False),
    ("pack", "packs without a picture"): (0, False),
    ("pack", "records lost"): (0, False),
    ("startup", "structural index"): (3.0, False),
    ("startup", "token counts, 2 threads"): (60.0, False),
    ("startup", "opened again"): (0.1, False),
    ("startup", "plan of an epoch"): (0.5, False),
    ("startup", "memory when opened"): (150.0, False),
    ("startup", "most memory while opening"): (150.0, False),
    ("startup", "memory of each of 2 workers"): (150.0, False),
    ("startup", "first batch after a resume at 99 %"): (1.0, False),
    ("startup", "skipped files opened"): (0, False),
    ("loader", "peak memory above torch"): (400.0, False),
}
# Benches without a peer: wall seconds and megabytes at most.
LIMITS = {"index": (60.0, 500.0)}
# Tokenizers whose text cannot be cut into words.
WHOLE = (1.0, 1.2)
# Kinds of files whose goals differ.
PROGRESSIVE = (1.0, 1.2)
# Against ours with the best path, and of plain Rust against Pillow.
PATHS = {"avx2": (0.75, 1.0)}
SCALAR_AGAINST_PILLOW = (1.0, 1.0)


def goal(bench: str, setting: dict[str, str | int]) -> tuple[float, float] | None:
    """The (must, reach) of a row, if there is one."""
    peer, heap = str(setting["peer"]), setting.get("heap")
    if setting.get("cpu"):
        if peer == "best_path":
            return PATHS.get(str(setting["cpu"]))
        return SCALAR_AGAINST_PILLOW if setting["cpu"] == "scalar" else None
    if bench == "loader" and setting["workers"] != 2:
        return None
    if setting.get("path") == "whole":
        return WHOLE
    if setting.get("calls") == "list" or ("cores" in setting and peer != "one_thread"):
        return None
    if bench == "decode" and str(setting.get("pictures")).endswith("progressive"):
        return PROGRESSIVE if peer == "simplejpeg" else None
    return GOALS.get((bench, peer, heap)) or GOALS.get((bench, peer, None))
