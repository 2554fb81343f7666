"""A model with all that is needed to use it: preprocessing, class names, and where it came from."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.errors import InputError
from pellucid.inputs.image import Image
from pellucid.models.gcn import GCN
from pellucid.models.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """An `nn.Module` and how it wants to be used. It wraps: the module stays the object that it was.

    Attributes:
        module: The network itself.
        name: What to call it on a page.
        preprocessing: How a picture becomes its input.
        class_names: The names of its outputs, in order; None where nobody knows them.
        source: Where it came from, without folders, so that it can be shown.
        notes: What loading had to do or to assume, as sentences.
        card: The model card of a bundled model; empty for others.
    """

    module: nn.Module
    name: str
    preprocessing: Preprocessing
    class_names: tuple[str, ...] | None
    source: str
    notes: tuple[str, ...] = ()
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the first weight lives; a model without weights runs on the CPU."""
        first = next(_tensors(self.module), None)
        return torch.device("cpu") if first is None else first[1].device

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the names, types, shapes and bytes of all parameters and buffers.

        Computed anew each time it is asked for: weights may change under a wrapper that never copies them, and a digest
        that is out of date would be worse than a slow one.
        """
        return digest_of(self.weights())

    def weights(self) -> list[tuple[str, Tensor]]:
        """Every parameter and buffer by name, without derivatives; not copies."""
        return [(name, tensor.detach()) for name, tensor in _tensors(self.module)]

    def tensor(self, images: Sequence[Image]) -> Tensor:
        """Prepare pictures and stack them.

        Args:
            images: One or more pictures.

        Returns:
            float32, (batch, 3, height, width), on the model's device.

        Raises:
            InputError: There is no picture, they do not come out at one size, or the model is one of graphs.
        """
        if not images:
            raise InputError("no picture was given, expected one or more.")
        if isinstance(self.module, GCN):
            raise InputError(f"{self.name} looks at graphs, and a picture was given; give it a graph.")
        prepared = [self.preprocessing.prepare(image) for image in images]
        first = prepared[0].shape
        for image, array in zip(images, prepared, strict=True):
            if array.shape != first:
                raise InputError(
                    f"{image.name!r} is {_size(array)} after preprocessing and {images[0].name!r} is "
                    f"{_size(prepared[0])}, expected one size in a batch: give the preprocessing a crop, or "
                    "pass the pictures one by one."
                )
        return torch.from_numpy(np.stack(prepared)).to(self.device)

    def class_name(self, index: int) -> str:
        """The name of an output, or "class 7" where it has none."""
        names = self.class_names
        return names[index] if names is not None and 0 <= index < len(names) else f"class {index}"

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self.module.parameters())
        classes = "classes unnamed" if self.class_names is None else f"{len(self.class_names)} classes"
        remarks = f", {len(self.notes)} notes" if self.notes else ""
        kind = type(self.module).__name__
        return f"Model({self.name!r}, {kind}, {count:,} parameters, {classes}, {self.device}{remarks})"


def digest_of(weights: Sequence[tuple[str, Tensor]]) -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors, in the order of their names."""
    total = hashlib.sha256()
    for name, tensor in sorted(weights, key=lambda pair: pair[0]):
        total.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        plain = tensor.cpu().resolve_conj().resolve_neg().contiguous()
        # bfloat16 has no numpy type, so the bytes are read as such.
        total.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    # Shared tensors under each of their names: sharing is part of what the model is.
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _size(array: np.ndarray) -> str:
    return f"{array.shape[-1]}×{array.shape[-2]}"
