"""The embedded default: a generated world of pictures and two small pre-trained backbones.

`world.write_world` puts pictures and LLaVA JSON on disk; `backbones/` holds the weights that ship;
`pretrain.run` makes such backbones again. Nothing else in the package depends on these modules.
"""

from pathlib import Path

BACKBONES = Path(__file__).parent / "backbones"
