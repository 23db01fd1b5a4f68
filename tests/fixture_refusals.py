"""Files that Pillow shows and ours refuses, and a part of the message that says why."""

REFUSED: dict[str, str] = {}
