import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.methods.cam_oracles import near, ours, read, torchcam
from tests.methods.nets import Net, Unrolled, given_of, pictures, seeded
from torch import Tensor, nn
from torchcam.methods import ScoreCAM as Theirs

import pellucid
from pellucid.capture import passes
from pellucid.methods import cam_trials
from pellucid.methods.baselines import baseline_of
from pellucid.methods.cam_trials import ScoreCAM, unit_range


class Coarse(Net):
    """Maps of 4×4 for pictures of 12×12."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.two(self.pool(torch.relu(self.one(x))))).mean((2, 3)) * 50)


def by_hand(module: nn.Module, layer: str, x: Tensor, target: int, baseline: str = "zero") -> Tensor:
    maps, _ = read(module, layer, x, target)
    nothing, rows = baseline_of(given_of(x), baseline), []
    for item in range(len(x)):
        rises = []
        for each in maps[item]:
            mask = F.interpolate(each[None, None], size=x.shape[2:], mode="bilinear", align_corners=False)[0, 0]
            mask = (mask - mask.min()) / (mask.max() - mask.min()) if mask.max() > mask.min() else mask * 0
            seen = mask * x[item] + (1 - mask) * nothing[item]
            rises.append(float((module(seen[None]) - module(nothing[item : item + 1]))[0, target].detach()))
        rows.append((torch.tensor(rises).double().softmax(0)[:, None, None] * maps[item]).sum(0))
    return torch.stack(rows)


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur:2"])
@pytest.mark.parametrize("layer", ["one", "pool", "two"])
def test_values_equal_the_paper_step_by_step(layer: str, baseline: str) -> None:
    module, x = seeded(Coarse).double(), pictures(2).double()
    made = ours(module, x, f"score-cam(site={layer}, sign=both, baseline={baseline})", 1)
    assert near(made, by_hand(module, layer, x, 1, baseline), 1e-6)


@pytest.mark.parametrize(("build", "layer"), [(Coarse, "pool"), (Unrolled, "relu1"), (Coarse, "one")])
def test_values_equal_torchcam_where_the_middles_of_cells_are_pixels(build: type[nn.Module], layer: str) -> None:
    # There it is the same whether maps are brought to 0 … 1 before they are enlarged, as it does, or after.
    module, x = seeded(build).double(), pictures(2).double()
    assert near(ours(module, x, f"score-cam(site={layer})", 1), torchcam(Theirs, module, layer, x, 1), 1e-6)


def test_a_mask_goes_from_zero_to_one_and_a_flat_one_covers_nothing() -> None:
    planes = torch.tensor([[[2.0, 4.0], [3.0, 2.0]], [[5.0, 5.0], [5.0, 5.0]]])
    assert torch.equal(unit_range(planes), torch.tensor([[[0.0, 1.0], [0.5, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]))


def test_the_price_is_a_pass_per_channel() -> None:
    module, x = seeded(Coarse), pictures()
    made = pellucid.explain(module, x, method="score-cam(site=pool)")
    assert made.cost.forwards == 1 + 6
    assert made.cost.backwards == 0
    assert ScoreCAM(site="pool").passes(passes.facts(module, x)).forwards == 6
    assert np.isfinite(made.values).all()


def test_how_many_masks_are_made_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = seeded(Coarse).double(), pictures(2).double()
    whole = ours(module, x, "score-cam(site=two, sign=both)", 1)
    monkeypatch.setattr(cam_trials, "_MASKS", 1)
    assert near(ours(module, x, "score-cam(site=two, sign=both)", 1), whole, 1e-12)
