"""Small files that ask for much are refused, or done, at a small price in time and memory."""

from pathlib import Path

from tests.bombs import bombs
from tests.judge import Judge, digest
from tests.pillow_oracle import pillow_pixels

SECONDS = 0.1
# Other processes may hold the machine; what a bomb costs without its limit is far above this.
SLACK = 5
# Bytes per pixel that decoding may take: the picture, and samples or coefficients beside it.
PER_PIXEL = 4
PER_COEFFICIENT = 6
MEMORY = 64 << 20
# Seconds per pixel of an accepted picture: decoded and resized.
PIXEL_SECONDS = 40e-9


def test_bombs(tmp_path: Path):
    wrong, accepted, count = [], 0, 0
    with Judge("") as judge:
        for name, data, pixels in bombs():
            count += 1
            verdict = judge.ask(data, name)
            memory = MEMORY + pixels * (PER_PIXEL + PER_COEFFICIENT * (b"\xff\xc2" in data[:2000]))
            seconds = SLACK * SECONDS + PIXEL_SECONDS * pixels
            if verdict.cpu > seconds or verdict.grown > memory:
                cost = f"{verdict.cpu:.3f} s, {verdict.grown >> 20} MiB"
                wrong.append(f"{name} ({len(data)} bytes): {cost}, {verdict.error or 'accepted'}")
            if verdict.error is None:
                accepted += 1
                if pixels == 0:
                    wrong.append(f"{name}: accepted")
                elif verdict.digest != digest(pillow_pixels(data)):
                    wrong.append(f"{name}: different pixels")
    print(f"{count} bombs, {accepted} of them harmless pictures")
    assert not wrong, "\n".join(wrong)
