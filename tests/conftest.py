"""What all tests share: the folder of real data, and torchvision made importable beside a CPU build of torch."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

# Two test processes on two cores: more threads would only wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)

_LIBRARIES = []  # kept alive for the whole run

try:
    import torchvision  # noqa: F401
except RuntimeError:
    # This torchvision brings compiled operations for another build of torch. Its models and transforms need only that
    # two names exist; where it brings them itself, defining them again would end the process.
    _LIBRARIES.append(torch.library.Library("torchvision", "DEF"))
    for _name in ("nms", "qnms"):
        _LIBRARIES[0].define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real weights, pictures and graphs; the test is skipped where there is none."""
    place = Path(os.environ.get("PELLUCID_DATA", ROOT.parent / "shared" / "data"))
    if not place.is_dir():
        pytest.skip(f"needs real data: no folder {place.name!r} beside the checkout and PELLUCID_DATA is not set")
    return place
