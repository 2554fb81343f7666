"""What all class activation maps have in common: their sites, their passes, and maps of several sites."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from tests.methods.cam_oracles import near, ours
from tests.methods.nets import Net, Shared, Unrolled, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SettingError, SiteError
from pellucid.methods.catalogue import METHODS

AT_SITES = (
    "grad-cam",
    "grad-cam++",
    "xgrad-cam",
    "hirescam",
    "layer-cam",
    "eigen-cam",
    "eigen-grad-cam",
    "guided-grad-cam",
    "score-cam",
    "ablation-cam",
)
BY_SLOPES = AT_SITES[:7]
at_sites = pytest.mark.parametrize("method", AT_SITES)


def sided(method: str) -> str:
    """The setting that keeps both signs, where there is one."""
    return "" if method == "eigen-cam" else ", sign=both"


class Counting(Net):
    """Counts how often it goes forward, and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.forwards: list[int] = []
        self.backwards: list[int] = []
        owner = self

        class Mark(torch.autograd.Function):
            @staticmethod
            def forward(_context: Any, x: Tensor) -> Tensor:
                return x.clone()

            @staticmethod
            def backward(_context: Any, slope: Tensor) -> Tensor:
                owner.backwards.append(len(slope))
                return slope

        self.mark = Mark

    def forward(self, x: Tensor) -> Tensor:
        self.forwards.append(len(x))
        return self.mark.apply(super().forward(x))


def test_six_methods_on_32_pictures_take_one_forward_and_one_backward() -> None:
    module, x = seeded(Counting), pictures(32)
    methods = ["grad-cam", "grad-cam++", "xgrad-cam(site=one)", "hirescam(site=one+two)", "layer-cam", "eigen-grad-cam"]
    made = list(pellucid.explain_many(module, [x], methods=methods, batch_size=32))
    assert len(made) == 6 * 32
    assert module.forwards == [32]
    assert module.backwards == [32]
    assert {(each.cost.forwards, each.cost.backwards) for each in made} == {(1, 1)}


class Twin(Net):
    """`InPlace` without writing in place."""

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.two(torch.relu(self.one(x)))).mean((2, 3)))


@at_sites
def test_a_convolution_before_an_in_place_relu_is_read_as_it_was(method: str) -> None:
    x = pictures(2)
    made = ours(net("in-place"), x, f"{method}(site=two{sided(method)})", 0)
    assert near(made, ours(seeded(Twin), x, f"{method}(site=two{sided(method)})", 0))


@at_sites
@pytest.mark.parametrize("call", [1, 2])
def test_each_call_of_a_shared_module_is_its_own_site(method: str, call: int) -> None:
    x = pictures(2)
    site = "relu" if call == 1 else "relu#2"
    made = ours(seeded(Shared), x, f"{method}(site={site}{sided(method)})", 1)
    assert near(made, ours(seeded(Unrolled), x, f"{method}(site=relu{call}{sided(method)})", 1))


@at_sites
def test_several_sites_give_what_each_gives_alone_in_the_order_asked_for(method: str) -> None:
    module, x = net("shared"), pictures()
    for order in (["one", "relu#2", "two"], ["two", "one", "relu#2"]):
        made = pellucid.explain(module, x, method=f"{method}(site={'+'.join(order)}{sided(method)})", target="class:1")
        named = "pixels" if method == "guided-grad-cam" else "map"
        assert [part.name for part in made.parts] == [f"{named} at {site}" for site in order]
        for site in order:
            alone = pellucid.explain(module, x, method=f"{method}(site={site}{sided(method)})", target="class:1")
            assert near(made.part(f"{named} at {site}").values, torch.tensor(alone.values))
            assert alone.parts[0].name == named


class Narrowing(Net):
    """Maps of 12×12, of 6×6 and of 3×3."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.again = nn.AvgPool2d(2), nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.again(torch.relu(self.two(self.pool(torch.relu(self.one(x)))))).mean((2, 3)))


@pytest.mark.parametrize(("fusion", "side"), [("mean", 6), ("max", 6), ("mean:input", 12), ("max:input", 12)])
@pytest.mark.parametrize("method", ["grad-cam", "hirescam", "eigen-cam", "score-cam"])
def test_maps_are_put_together_at_the_stated_size_without_rescaling(method: str, fusion: str, side: int) -> None:
    module, x = seeded(Narrowing), pictures()
    alone = [pellucid.explain(module, x, method=f"{method}(site={site})").values for site in ("two", "again")]
    large = torch.stack(
        [F.interpolate(torch.tensor(each)[None, None], size=(side, side), mode="bilinear")[0, 0] for each in alone]
    )
    expected = large.mean(0) if fusion.startswith("mean") else large.amax(0)
    both = [
        pellucid.explain(module, x, method=f"{method}(site={s}, fusion={fusion})") for s in ("two+again", "again+two")
    ]
    for made in both:
        assert near(made.values, expected)
        assert made.parts[0].name == "map"
        assert made.parts[0].place == ("input" if side == 12 else "two")
        assert made.parts[0].axes == ("height", "width")
    assert np.array_equal(both[0].values, both[1].values)


def test_a_fused_map_is_the_same_to_the_bit_in_whatever_order_sites_are_asked_for() -> None:
    module, x = seeded(Narrowing), pictures()
    orders = [" + ".join(order) for order in itertools.permutations(["one", "pool", "two", "again"])]
    made = [ours(module, x, f"hirescam(site={order}, fusion=mean:input)", 0) for order in orders]
    assert all(np.array_equal(each, made[0]) for each in made)


@pytest.mark.parametrize("method", ["grad-cam(site=one+two)", "hirescam(site=one+two, fusion=mean)", "cam", "fullgrad"])
def test_weak_and_strong_pictures_in_a_batch_keep_their_scales(method: str) -> None:
    module = net("batch norm")
    x = pictures(3) * torch.tensor([1.0, 100.0, 0.01])[:, None, None, None]
    made = list(pellucid.explain_many(module, [x], methods=[method], targets=["class:0"]))
    for number, each in enumerate(made):
        alone = pellucid.explain(module, x[number : number + 1], method=method, target="class:0")
        for one, other in zip(each.parts, alone.parts, strict=True):
            assert np.allclose(one.values, other.values, rtol=1e-4, atol=1e-5 * float(np.abs(other.values).max()))
    assert np.abs(made[1].values).max() > 3 * np.abs(made[0].values).max() > 0


def test_the_note_about_evidence_names_its_site_where_there_are_several() -> None:
    module = net("residual")
    module.last.weight.data.abs_().neg_()  # type: ignore[union-attr, operator]
    made = pellucid.explain(module, pictures(), method="hirescam(site=/relu+/relu#2)", target="class:0")
    assert any(note.startswith("no positive evidence at /relu#2: every value is 0 or less") for note in made.notes)


def test_a_later_part_that_is_flat_is_said_to_be() -> None:
    module = net("residual")
    module.last.weight.data.abs_().neg_()  # type: ignore[union-attr, operator]
    made = pellucid.explain(module, pictures(), method="grad-cam(site=/relu+/relu#2)", target="class:0")
    assert "map at /relu#2: flat (range 0)" in made.notes


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("grad-cam(site=one+)", SettingError, "site is 'one+', expected a selector of one site"),
        ("grad-cam(site=one+@0)", SettingError, "each site once, and 'one' is meant twice"),
        ("layer-cam(site=one+last)", MethodError, "layer-cam needs feature maps (batch, channels, height, width), and"),
        ("score-cam(site=one+tow)", SiteError, "no site 'tow'"),
        ("eigen-cam(site=kind:conv)", SiteError, "'kind:conv' means 2 sites"),
    ],
)
def test_sites_that_cannot_be_meant_are_refused(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        pellucid.explain(net("residual"), pictures(), method=text)
    assert said in str(caught.value)


def test_a_site_whose_name_has_a_plus_is_meant_by_its_whole_name() -> None:
    class Odd(Net):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("a+b", nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.get_submodule("a+b")(self.two(self.one(x))).mean((2, 3)))

    assert pellucid.explain(seeded(Odd), pictures(), method="grad-cam(site=a+b)").parts[0].place == "a+b"


def transformer() -> nn.Module:
    made = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=5
    )
    nn.init.normal_(made.heads.head.weight)  # zeros otherwise
    return made.eval()


@pytest.mark.parametrize("method", [name for name in METHODS if name in (*AT_SITES, "cam", "fullgrad")])
def test_transformers_are_refused_by_name(method: str) -> None:
    x = torch.rand(1, 3, 32, 32)
    with pytest.raises(MethodError, match=rf"^{method.replace('+', '[+]')} .*; use "):
        pellucid.explain(transformer(), x, method=method)
