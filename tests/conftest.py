"""What all tests share: type checks, the folder of real data, and torchvision beside a CPU build of torch."""

import os
from pathlib import Path

import pytest
import torch
from beartype import BeartypeConf
from beartype.claw import beartype_packages
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]

# Types are checked at every call in the rooms of tensors; shapes too where a module states some. That takes ten times as
# long, so modules without shapes go without it.
ROOMS = [f"pellucid.{room}" for room in ("capture", "methods", "metrics")]
SOURCES = [path for room in ROOMS for path in (ROOT / "src").joinpath(*room.split(".")).glob("*.py")]
SHAPED = [".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in SOURCES if "jaxtyping" in path.read_text()]
beartype_packages(ROOMS, conf=BeartypeConf(claw_is_pep526=False))
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
