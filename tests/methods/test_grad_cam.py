import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from tests.methods.nets import Net, Shared, Unrolled, model, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SiteError
from pellucid.methods.cams import weighted_maps
from pellucid.models.xai_cnn import XAI


def by_hand(module: nn.Module, maps: Tensor, logit: Tensor) -> np.ndarray:
    slopes = torch.autograd.grad(logit, maps)[0]
    return np.asarray((slopes.mean((2, 3))[0][:, None, None] * maps[0]).sum(0).detach())


def test_a_map_is_weighed_by_its_mean_slope() -> None:
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]]]])
    slopes = torch.tensor([[[[1.0, 1.0], [0.0, 2.0]], [[-4.0, 0.0], [0.0, 0.0]]]])
    assert torch.equal(weighted_maps(maps, slopes), torch.tensor([[[0.0, 2.0], [3.0, 3.0]]]))


def test_values_equal_the_formula_at_the_default_site() -> None:
    module, x = net("batch norm"), pictures()
    made = pellucid.explain(module, x, method="grad-cam(sign=both)", target="class:1")
    maps = torch.relu(module.two(torch.relu(module.norm(module.one(x)))))  # type: ignore[operator]
    raw = by_hand(module, maps, module.last(maps.mean((2, 3)))[0, 1])  # type: ignore[operator]
    assert np.allclose(made.values, raw, rtol=1e-4, atol=1e-8)
    cut = pellucid.explain(module, x, method="grad-cam", target="class:1")
    assert np.array_equal(cut.values, np.clip(made.values, 0, None))


def test_values_equal_captum() -> None:
    module, x = net("batch norm"), pictures(3)
    made = list(pellucid.explain_many(module, [x], methods=["grad-cam(site=norm)"], targets=["class:2"]))
    theirs = LayerGradCam(module, module.norm).attribute(x, target=2, relu_attributions=True).detach().numpy()[:, 0]
    assert np.allclose(np.stack([each.values for each in made]), theirs, rtol=1e-4, atol=1e-8)
    assert theirs.any()


@pytest.mark.parametrize("call", [1, 2])
def test_each_call_of_a_shared_module_is_its_own_site(call: int) -> None:
    x = pictures()
    site = "relu" if call == 1 else "relu#2"
    made = pellucid.explain(seeded(Shared), x, method=f"grad-cam(site={site}, sign=both)", target="class:0")
    twin = pellucid.explain(seeded(Unrolled), x, method=f"grad-cam(site=relu{call}, sign=both)", target="class:0")
    assert np.allclose(made.values, twin.values, rtol=1e-5, atol=1e-8)
    assert made.values.any()


def test_a_map_is_what_its_call_returned_though_a_relu_overwrites_it() -> None:
    class Twin(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.two(torch.relu(self.one(x)))).mean((2, 3)))

    x = pictures()
    made = pellucid.explain(net("in-place"), x, method="grad-cam(site=two, sign=both)", target="class:0")
    twin = pellucid.explain(seeded(Twin), x, method="grad-cam(site=two, sign=both)", target="class:0")
    assert np.allclose(made.values, twin.values, rtol=1e-5, atol=1e-8)


def test_values_are_the_same_whatever_else_was_asked_for() -> None:
    module, x = net("shared"), pictures()
    sites = ["one", "relu#2", "two", "relu"]
    for order in (sites, sites[::-1]):
        methods = [f"grad-cam(site={site})" for site in order]
        for site, made in zip(order, pellucid.explain_many(module, [x], methods=methods), strict=True):
            alone = pellucid.explain(module, x, method=f"grad-cam(site={site})")
            assert made.parts[0].place == site
            assert np.allclose(made.values, alone.values, rtol=1e-5, atol=1e-9)


def test_negative_evidence_alone_is_flagged_and_can_be_kept() -> None:
    module, x = net("residual"), pictures()
    module.last.weight.data.abs_().neg_()  # type: ignore[union-attr, operator]
    cut = pellucid.explain(module, x, method="grad-cam", target="class:0")
    kept = pellucid.explain(module, x, method="grad-cam(sign=both)", target="class:0")
    assert not cut.values.any()
    assert any(
        note.startswith("no positive evidence: the map is 0 everywhere (largest value before") for note in cut.notes
    )
    assert "flat (range 0)" in cut.notes
    assert (kept.values <= 0).all()
    assert kept.values.any()
    assert any(note.startswith("no positive evidence: every value is 0 or less") for note in kept.notes)
    assert kept.overlay().legend["kind"] == "signed"


def test_positive_evidence_is_not_flagged() -> None:
    module = net("residual")
    module.last.weight.data.abs_()  # type: ignore[union-attr, operator]
    assert pellucid.explain(module, pictures(), method="grad-cam", target="class:0").notes == ()


def test_a_container_stands_for_its_last_site() -> None:
    module, x = XAI(width=4).eval(), torch.rand(1, 3, 100, 100)
    made = pellucid.explain(module, x, method="grad-cam(site=features)")
    assert made.parts[0].place == "features.51"
    assert made.values.shape == (3, 3)


@pytest.mark.parametrize(("side", "cells"), [(100, 6), (40, 2)])
def test_the_seed_network_is_explained_at_its_last_relu_before_the_last_pooling(side: int, cells: int) -> None:
    module = XAI(width=4).eval()
    made = pellucid.explain(module, torch.rand(1, 3, side, side), method="grad-cam")
    assert made.parts[0].place == "features.50"
    assert made.values.shape == (cells, cells)


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("last", "site 'last' (linear) has shape 1×4; choose e.g. /relu#2."),
        ("/mean", "site '/mean' (mean) has shape 1×6"),
    ],
)
def test_a_site_without_maps_is_refused(site: str, message: str) -> None:
    with pytest.raises(MethodError) as caught:
        pellucid.explain(net("residual"), pictures(), method=f"grad-cam(site={site})")
    assert message in str(caught.value)


def test_several_sites_at_once_are_refused() -> None:
    with pytest.raises(SiteError, match="'kind:conv' means 2 sites"):
        pellucid.explain(net("residual"), pictures(), method="grad-cam(site=kind:conv)")


def test_a_model_without_maps_is_refused_and_told_what_to_do() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(432, 5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(MethodError) as caught:
        pellucid.explain(model(flat), pictures(), method="grad-cam")
    assert str(caught.value) == (
        "grad-cam finds no site of its own in this model (no maps larger than 1×1 before the class layer); use "
        "saliency or integrated-gradients."
    )
