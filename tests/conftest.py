"""What all tests share: the folder of real data, and torchvision made importable beside a CPU build of torch."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

# A torchvision from the registry brings compiled operations for another build of torch; its models and transforms need
# only that these two names exist.
_TORCHVISION = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _TORCHVISION.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real weights, pictures and graphs; the test is skipped where there is none."""
    place = Path(os.environ.get("PELLUCID_DATA", ROOT.parent / "shared" / "data"))
    if not place.is_dir():
        pytest.skip(f"needs real data: no folder {place.name!r} beside the checkout and PELLUCID_DATA is not set")
    return place
