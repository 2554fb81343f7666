"""Modules that were wrapped by somebody else: looked through where that is safe, refused by name where it is not."""

import math

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from pellucid.errors import ModelError

_QUANTISED = (
    "torch.ao.nn.quantized",
    "torch.ao.nn.intrinsic.quantized",
    "torch.nn.quantized",
    "torch.nn.intrinsic.quantized",
)


def unwrapped(module: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """The module that does the work, and a note for each layer of wrapping that was looked through.

    Raises:
        ModelError: The module, or one inside it, hides what happens within: scripted, exported, compiled, quantised,
            sharded, without weights.
    """
    notes: list[str] = []
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            notes.append(
                f"{type(module).__name__} was looked through: the module inside it is explained, on one device"
            )
            module = module.module
        elif type(module).__name__ == "OptimizedModule" and isinstance(module._modules.get("_orig_mod"), nn.Module):
            # By name, since importing torch._dynamo to ask for the class takes seconds.
            notes.append("torch.compile was looked through: the original module is explained, uncompiled")
            module = module.get_submodule("_orig_mod")
        else:
            break
    for name, inner in module.named_modules():
        reason = _reason_against(inner)
        if reason:
            where = f"its part {name!r}" if name else "it"
            raise ModelError(f"this {type(module).__name__} is refused: {where} {reason}.")
    _require_weights(module)
    return module, tuple(notes)


def first_not_finite(module: nn.Module) -> str | None:
    """A sentence that names the first parameter or buffer with NaN or infinity, or None."""
    for kind, tensors in (("weight", module.named_parameters()), ("buffer", module.named_buffers())):
        for name, tensor in tensors:
            if not (tensor.is_floating_point() or tensor.is_complex()) or _surely_finite(tensor):
                continue
            bad = int((~tensor.detach().isfinite()).sum())
            if bad:
                return f"the {kind} {name!r} is not finite: {bad:,} of {tensor.numel():,} values are NaN or infinite"
    return None


def _surely_finite(tensor: Tensor) -> bool:
    """Whether one quick look is enough: NaN and infinity show in the ends. It costs a tenth of counting them."""
    usual = tensor.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    if not usual or tensor.layout != torch.strided or not tensor.numel():
        return False
    low, high = tensor.detach().aminmax()
    return math.isfinite(low.item()) and math.isfinite(high.item())


def _reason_against(module: nn.Module) -> str:
    kind = type(module)
    if isinstance(module, ScriptModule):
        return "is a TorchScript module, whose inside cannot be watched; pass the Python module that it was made from"
    if kind.__module__.startswith(_QUANTISED):
        return (
            f"is quantised ({kind.__name__}), and integers have no gradients; pass the module from before quantisation"
        )
    if kind.__name__ == "FullyShardedDataParallel":
        return "is sharded (FullyShardedDataParallel); gather its state_dict and load that into the plain module"
    if kind.__name__ == "OptimizedModule" or module._compiled_call_impl is not None:
        return "is compiled by torch.compile, which skips the hooks of what is inside; build the model again without it"
    if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
        return "is DataParallel over several devices, so its replicas cannot be watched; pass the module inside it"
    if "eval" in vars(module) and "train" in vars(module):
        return (
            "comes from torch.export, which fixes the mode and the shapes; pass the Python module that it was made from"
        )
    return ""


def _require_weights(module: nn.Module) -> None:
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
            reason = "has no shape yet (a lazy module); run one picture through the module first"
        elif tensor.is_meta:
            reason = (
                "is on the meta device and has no values; load the weights with load_state_dict(..., assign=True) first"
            )
        elif tensor.is_quantized:
            reason = "is quantised, and integers have no gradients; pass the module from before quantisation"
        else:
            continue
        raise ModelError(f"this {type(module).__name__} is refused: its weight {name!r} {reason}.")
