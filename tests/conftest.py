"""What all tests share: checks of shapes, the folder of real data, and torchvision beside a CPU build of torch."""

import os
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]

# Shapes and types are checked at every call of the modules that state shapes; mypy reads the others, where checking at
# every call would take the tests ten times as long.
ROOMS = [ROOT / "src" / "pellucid" / room for room in ("capture", "methods", "metrics")]
SHAPED = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for room in ROOMS
    for path in room.glob("*.py")
    if "jaxtyping" in path.read_text(encoding="utf-8")
]
install_import_hook(SHAPED, "beartype.beartype")

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
