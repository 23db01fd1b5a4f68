"""Model directories in and out. Safetensors and JSON only; what a directory says is checked, not
trusted.

Our tensor names: `vision_tower.*`, `projector.linear_{1,2}.*`, `language_model.*`,
    `lm_head.weight`; those of the world are in `layouts`.
"""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from llava_fast import assets, layouts
from llava_fast.config import ImageConfig
from llava_fast.files import (
    INDEX,
    SHARD,
    WEIGHTS,
    json_bytes,
    new_directory,
    read_json,
    read_tensors,
    write_file,
    write_tensors,
)
from llava_fast.models.config import LlavaConfig, TextConfig
from llava_fast.template import Template

if TYPE_CHECKING:
    from llava_fast.models.llava import LlavaModel

Directory = str | PathLike[str]
Tensors = dict[str, torch.Tensor]

TOWER = "vision_tower"


def load_model(
    cls: type["LlavaModel"],
    directory: Directory,
    dtype: torch.dtype | None,
    device: str | torch.device,
    tower: Directory | None,
) -> "LlavaModel":
    """See `LlavaModel.from_pretrained`."""
    directory = Path(directory)
    raw = _read_config(directory)
    files = assets.read(directory)
    tensors = read_tensors(directory)
    if layouts.is_original(raw):
        config, tensors = _from_original(directory, raw, tensors, files, tower)
    else:
        config = _named(directory, layouts.config_from_hub, raw, assets.image_settings(files))
        tensors = _named(directory, layouts.ours, tensors)
    if config.projector == "linear":
        _drop_identity(directory, tensors, config.text.hidden_size)
    return _build(cls, directory, config, tensors, files, dtype, device)


def join_backbones(
    cls: type["LlavaModel"],
    vision_dir: Directory,
    llm_dir: Directory,
    projector: str,
    seed: int,
    *,
    image_token_id: int | None,
    tokenizer: Directory | None,
    feature_layer: int,
    dtype: torch.dtype,
    device: str | torch.device,
) -> "LlavaModel":
    """See `LlavaModel.from_backbones`."""
    vision_dir, llm_dir = Path(vision_dir), Path(llm_dir)
    words = Path(tokenizer) if tokenizer else assets.tokenizer_place(llm_dir)
    raw_llm = _read_config(llm_dir)
    if raw_llm.get("model_type") != "llama":
        got = raw_llm.get("model_type")
        raise ValueError(f"{llm_dir / 'config.json'}: model_type: got {got!r}, expected `llama`")
    processor = assets.image_settings(assets.read(vision_dir))
    config = LlavaConfig(
        vision=_named(vision_dir, layouts.vision_config, _read_config(vision_dir), processor),
        text=_named(llm_dir, TextConfig.from_dict, raw_llm),
        image_token_id=_image_token(words) if image_token_id is None else image_token_id,
        projector=projector,
        feature_layer=feature_layer,
        dtype=str(dtype).removeprefix("torch."),
    )
    tensors = _named(vision_dir, layouts.ours_from_clip, read_tensors(vision_dir))
    tensors |= _named(llm_dir, layouts.ours, read_tensors(llm_dir))
    tensors |= _new_projector(config, seed)
    files = assets.tokenizer_files(assets.read(words)) | assets.generation_files(
        assets.read(llm_dir)
    )
    return _build(cls, llm_dir, config, tensors, files, dtype, device)


def save_model(
    model: "LlavaModel",
    directory: Directory,
    layout: str,
    template: Template | None,
    image: ImageConfig | None,
) -> None:
    """See `LlavaModel.save_pretrained`."""
    if layout not in ("hf", "original"):
        raise ValueError(f"layout: got `{layout}`, expected `hf` or `original`")
    final = Path(directory).absolute()
    _check_replaceable(final)
    config = model.config.with_dtype(model.dtype)
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    files = assets.updated(model.assets, config, template, image)
    with new_directory(final) as folder:
        for name, content in files.items():
            write_file(folder / name, content)
        if layout == "hf":
            write_file(folder / "config.json", json_bytes(layouts.config_to_hub(config)))
            write_tensors(folder / WEIGHTS, layouts.hub(tensors))
        else:
            _write_original(folder, config, tensors, assets.image_mode(files))


def _write_original(folder: Path, config: LlavaConfig, tensors: Tensors, image_mode: str) -> None:
    main, tower = layouts.original(tensors)
    raw = layouts.config_to_original(config, image_mode)
    write_file(folder / "config.json", json_bytes(raw))
    write_tensors(folder / WEIGHTS, main)
    (folder / TOWER).mkdir()
    clip = {"architectures": ["CLIPVisionModel"], **config.vision.to_dict(), "dtype": config.dtype}
    write_file(folder / TOWER / "config.json", json_bytes(clip))
    write_file(
        folder / TOWER / "preprocessor_config.json",
        json_bytes(assets.clip_processor(config.vision)),
    )
    write_tensors(folder / TOWER / WEIGHTS, tower)


def _read_config(directory: Path) -> dict[str, Any]:
    if not (directory / "config.json").exists():
        raise ValueError(f"{directory}: not a model directory (no `config.json`)")
    return read_json(directory / "config.json")


def _from_original(
    directory: Path,
    raw: dict[str, Any],
    tensors: Tensors,
    files: assets.Files,
    tower: Directory | None,
) -> tuple[LlavaConfig, Tensors]:
    """Configuration and tensors of an original checkpoint; its tower usually lies elsewhere."""
    place = Path(tower) if tower else directory / TOWER
    if not (place / "config.json").exists():
        raise ValueError(
            f"{directory}: the checkpoint does not hold its vision tower; "
            f"pass `vision_tower=` the directory of `{raw.get('mm_vision_tower')}`"
        )
    if "image_token_index" in raw:
        image_token_id = raw["image_token_index"]
    else:
        image_token_id = _image_token(directory)
    processor = assets.image_settings(files) or assets.image_settings(assets.read(place))
    config = _named(
        directory,
        layouts.config_from_original,
        raw,
        _read_config(place),
        image_token_id,
        processor,
    )
    named = _named(directory, layouts.ours, tensors)
    if not any(name.startswith("vision_tower.") for name in named):
        named |= _named(place, layouts.ours_from_clip, read_tensors(place))
    if raw.get("image_aspect_ratio") == "pad":
        assets.set_image_mode(files, "pad")
    return config, named


def _image_token(directory: Path) -> int:
    from llava_fast.tokenizer import Tokenizer

    return Tokenizer.from_pretrained(directory).image_id


def _new_projector(config: LlavaConfig, seed: int) -> Tensors:
    from llava_fast.models.projector import Projector

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new = Projector(config.projector, config.vision.hidden_size, config.text.hidden_size)
    return {f"projector.{name}": tensor.detach() for name, tensor in new.state_dict().items()}


def _drop_identity(directory: Path, tensors: Tensors, width: int) -> None:
    """Take out the second layer that transformers' form of the linear projector has."""
    weight = tensors.pop("projector.linear_2.weight", None)
    bias = tensors.pop("projector.linear_2.bias", None)
    if weight is None and bias is None:
        return
    identity = (
        weight is not None
        and weight.is_floating_point()
        and torch.equal(weight.float(), torch.eye(width))
    )
    if not identity or (bias is not None and bias.count_nonzero()):
        raise ValueError(
            f"{directory}: linear projector: the second layer is not the identity, got another one"
        )


def _build(
    cls: type["LlavaModel"],
    directory: Path,
    config: LlavaConfig,
    tensors: Tensors,
    files: assets.Files,
    dtype: torch.dtype | None,
    device: str | torch.device,
) -> "LlavaModel":
    """The model with these tensors, copied: the files may change afterwards."""
    with torch.device("meta"):
        model = cls(config)
    if config.text.tie_word_embeddings:
        _drop_tied_head(directory, tensors)
    _check_tensors(directory, tensors, model.state_dict())
    dtype = dtype or getattr(torch, config.dtype)
    owned = {name: t.to(device, dtype, copy=True) for name, t in tensors.items()}
    model.load_state_dict(owned, assign=True)
    model.config = config.with_dtype(dtype)
    model.assets = files
    return model


def _drop_tied_head(directory: Path, tensors: Tensors) -> None:
    head = tensors.pop("lm_head.weight", None)
    embedding = tensors.get("language_model.embed_tokens.weight")
    if head is None or embedding is None:
        return
    if head.dtype != embedding.dtype or not torch.equal(head, embedding):
        raise ValueError(
            f"{directory}: the head is said to be tied, but differs from the embedding"
        )


def _check_tensors(directory: Path, tensors: Tensors, expected: Tensors) -> None:
    for problem, names in (
        ("missing", expected.keys() - tensors.keys()),
        ("unexpected", tensors.keys() - expected.keys()),
    ):
        if names:
            shown = ", ".join(f"`{name}`" for name in sorted(names)[:5])
            raise ValueError(f"{directory}: {len(names)} {problem} tensors: {shown}")
    for name, tensor in tensors.items():
        want = tuple(expected[name].shape)
        if tuple(tensor.shape) != want or not tensor.is_floating_point():
            got = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise ValueError(f"{directory}: `{name}`: got {got}, expected floats {want}")


def _check_replaceable(final: Path) -> None:
    """Refuse to take the place of anything but a model directory: its other files would be lost."""
    if not final.exists():
        return
    if not final.is_dir():
        raise ValueError(f"{final}: exists and is not a directory")
    for entry in sorted(path.name for path in final.iterdir()):
        known = entry in (*assets.NAMES, "config.json", INDEX, TOWER) or SHARD.fullmatch(entry)
        if not known:
            raise ValueError(
                f"{final}: holds `{entry}`, which is no part of a model; "
                "expected a new, an empty or a model directory"
            )


def _named(directory: Path, function: Any, *arguments: Any) -> Any:
    """Call; a complaint gets the directory's name in front."""
    try:
        return function(*arguments)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{directory}: {error}") from None
