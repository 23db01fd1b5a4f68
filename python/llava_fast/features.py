"""What an image processor returns."""

from typing import Any


class Features(dict[str, Any]):
    """A dict that can also be used as transformers' `BatchFeature`: `batch.pixel_values`,
    `batch.data`, `batch.to("cuda", torch.bfloat16)`."""

    @property
    def data(self) -> dict[str, Any]:
        """The dict itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f"`Features` has no attribute `{name}`, and no such key")
        return self[name]

    def to(self, *args: Any, **kwargs: Any) -> "Features":
        """Moves all tensors to a device and casts those of floating point to a type, as
        `torch.Tensor.to`; changes this object and returns it."""
        import torch

        device = kwargs.get("device")
        if args and not isinstance(args[0], torch.dtype):
            device = args[0]
        only_move = {"device": device, "non_blocking": kwargs.get("non_blocking", False)}
        for key, value in self.items():
            if not isinstance(value, torch.Tensor):
                continue
            if value.is_floating_point():
                self[key] = value.to(*args, **kwargs)
            elif device is not None:
                self[key] = value.to(**only_move)
        return self
