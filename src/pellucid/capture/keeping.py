"""Which values are kept, and how they stay what each call returned.

A kept value shares the model's memory until somebody is about to overwrite that; only then is it copied, or when the
pass has ended and the memory belongs to the user's input or output.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from pellucid.capture.calls import Call
from pellucid.capture.provenance import storage_of

Wants = Callable[[str, str, int], bool]


class Keeper:
    """The kept values of one pass.

    Args:
        wants: Whether the values of a site are to be kept, by name, operation and order; None keeps none.
        buffers: Where copies that protect values from in-place operations are written, by site; reused between passes.
        live: Keep values as parts of the autograd graph, so that a score can be made of them.
    """

    def __init__(self, wants: Wants | None, *, buffers: dict[str, Tensor] | None, live: bool) -> None:
        self._wants = wants
        self._buffers = buffers
        self._live = live
        self._kept_in: dict[int, list[Call]] = {}

    def forget(self) -> None:
        """Begin a new pass."""
        self._kept_in.clear()

    def wants_container(self, name: str) -> bool:
        """Whether a container was asked for by its name; which site it stands for is known when it ends."""
        return self._wants is not None and self._wants(name, "", -1)

    def keep(self, call: Call, tensor: Tensor, *, index: int, inside_wanted: bool) -> None:
        """Keep what a call has returned, if it is wanted or may turn out to be what a wanted container stands for."""
        if self._wants is None:
            return
        call.wanted = self._wants(call.name, call.op, index)
        if call.wanted or inside_wanted:
            call.value = tensor if self._live else tensor.detach()
            self._kept_in.setdefault(storage_of(tensor), []).append(call)

    @staticmethod
    def settle(calls: Sequence[Call], *, last: str, drop: bool) -> None:
        """A wanted container has ended: what it stands for is kept, and the rest dropped unless wanted anyway."""
        for call in calls:
            if call.name == last:
                call.wanted = True
            elif drop and not call.wanted:
                call.value = None

    def protect(self, target: Tensor) -> None:
        """Copy kept values that share memory with a tensor which is about to be overwritten."""
        if not self._kept_in:
            return
        calls = self._kept_in.pop(storage_of(target), None)
        if calls:
            self._copy(calls)

    def own(self, foreign: Iterable[int]) -> None:
        """Copy kept values that share memory with what belongs to the user: a model's input and output."""
        if self._live:
            return
        for store in foreign:
            calls = self._kept_in.pop(store, None)
            if calls:
                self._copy(calls)

    def _copy(self, calls: list[Call]) -> None:
        with torch._C.DisableTorchFunction(), torch.set_grad_enabled(self._live and torch.is_grad_enabled()):
            copies: dict[object, Tensor] = {}
            for call in calls:
                value = call.value
                if value is None:
                    continue
                # Several sites may have returned the very same tensor (dropout in eval mode): one copy serves them all.
                same = id(value) if self._live else (value.storage_offset(), value.shape, value.stride())
                if same not in copies:
                    copies[same] = self._copied(call.name, value)
                call.value = copies[same]

    def _copied(self, name: str, value: Tensor) -> Tensor:
        if self._live or self._buffers is None:
            return value.clone()
        buffer = self._buffers.get(name)
        if (
            buffer is None
            or buffer.shape != value.shape
            or buffer.dtype != value.dtype
            or buffer.device != value.device
            or buffer.is_inference() != torch.is_inference_mode_enabled()
        ):
            buffer = self._buffers[name] = torch.empty_like(value)
        return buffer.copy_(value)
