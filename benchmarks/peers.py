"""Peers and reference networks that the benchmarks share."""

from types import ModuleType

import torch

_REGISTERED: list[torch.library.Library] = []


def torchvision_beside_any_torch() -> ModuleType:
    """torchvision, also where its compiled operations belong to another build of torch.

    Its models need only that two names exist; where torchvision brings them itself, nothing is registered.
    """
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(schema)  # type: ignore[no-untyped-call]
        _REGISTERED.append(library)
        import torchvision
    return torchvision  # type: ignore[no-any-return]
