"""The heart in one file: sites, captured values, leave no trace, and explanations against their references."""

import copy
import subprocess
import sys
from collections.abc import Iterator

import captum.attr
import pytest
import torch
import torch.nn.functional as F
import torchvision
from tests.methods.test_contracts import quick
from torch import Tensor, nn

import pellucid
from pellucid.errors import NotFiniteError, OutputError, SiteError, TargetError, TooSmallError
from pellucid.methods.catalogue import METHODS
from pellucid.models.xai_cnn import XAI


class Textbook(nn.Module):
    """The textbook's class: the same listing, flattened by `view(-1, 512)`."""

    def __init__(self) -> None:
        super().__init__()
        ours = XAI()
        self.features, self.classifier = ours.features, ours.classifier

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.classifier(self.features(x).view(-1, 512)), dim=1)


class Residual(nn.Module):
    """In-place ReLUs, a shared one, a functional one, an addition in place, BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 8, 1, stride=2)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(x))
        y += self.down(x)
        y = self.relu(y)
        return self.head(F.relu(y - 0.1).mean((2, 3)))


class Unrolled(Residual):
    """The same function without any in-place operation, every ReLU a module of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(x)) + self.down(x))
        return self.head(self.relu3(y - 0.1).mean((2, 3)))


@pytest.fixture
def nets() -> tuple[Residual, Unrolled]:
    torch.manual_seed(3)
    one, other = Residual(), Unrolled()
    one.bn1.running_mean.uniform_(-1, 1)
    other.load_state_dict(one.state_dict())
    return one.eval(), other.eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(4))


def fingerprint(module: nn.Module) -> list[object]:
    parts: list[object] = [torch.get_rng_state().tolist()]
    for name, part in module.named_modules():
        parts.append((name, part.training, len(part._forward_hooks), len(part._forward_pre_hooks)))
        parts.append(getattr(part, "inplace", None))
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        parts.append(
            (name, tensor.tolist(), tensor.requires_grad, None if tensor.grad is None else tensor.grad.tolist())
        )
    return parts


def test_the_textbooks_sites_equal_plain_hooks_and_the_module_is_untouched() -> None:
    torch.manual_seed(0)
    net = Textbook()  # in train mode, as the textbook leaves it
    picture = torch.rand(1, 3, 100, 100)
    before = fingerprint(net)
    trace = pellucid.trace(net, picture)
    assert fingerprint(net) == before
    twin, kept = copy.deepcopy(net).eval(), {}
    for index in (0, 20, 40):
        twin.features[index].register_forward_hook(lambda _m, _i, out, i=index: kept.__setitem__(i, out.clone()))
    with torch.no_grad():
        twin(picture)
    assert all(torch.equal(trace[f"features.{index}"].values, values) for index, values in kept.items())


def test_nine_rows_for_one_picture_are_explained() -> None:
    with pytest.raises(
        OutputError, match=r"returned 9 rows for 1 picture: `view` after 'features.51' turned 1×512×3×3"
    ):
        pellucid.explain(Textbook(), torch.rand(1, 3, 100, 100))


def test_captured_values_equal_those_of_the_twin_without_in_place_operations(
    nets: tuple[Residual, Unrolled], x: Tensor
) -> None:
    ours, twin = pellucid.trace(nets[0], x), pellucid.trace(nets[1], x)
    pairs = {"bn1": "bn1", "relu": "relu1", "/add": "/add", "relu#2": "relu2", "/relu": "relu3", "down": "down"}
    assert all(torch.equal(ours[one].values, twin[other].values) for one, other in pairs.items())
    assert ours["/add"].inputs == ("bn2", "down")
    assert ours["relu#2"].inputs == ("/add",)
    assert ours["bn2"].inputs == ("conv2",)


def test_every_relu_call_and_every_addition_of_resnet18_is_a_site() -> None:
    net = torchvision.models.resnet18(weights=None).eval()
    trace = pellucid.trace(net, torch.rand(1, 3, 64, 64))
    assert [s.name for s in trace if s.op == "relu"][1:3] == ["layer1.0.relu", "layer1.0.relu#2"]
    assert sum(s.op == "relu" for s in trace) == 17
    additions = [s for s in trace if s.op == "add"]
    assert len(additions) == 8
    assert additions[0].inputs == ("layer1.0.bn2", "maxpool")
    assert additions[2].inputs == ("layer2.0.bn2", "layer2.0.downsample.1")
    assert trace["layer1"] is trace["layer1.1.relu#2"]


def test_receptive_fields_equal_the_support_of_the_gradient() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 1, 3, stride=2, padding=1), nn.Conv2d(1, 1, (3, 5), padding=(0, 2), dilation=2), nn.AvgPool2d(2),
        nn.Conv2d(1, 1, 3, padding=1),
    )  # fmt: skip
    for part in net.parameters():
        nn.init.constant_(part, 0.5)
    picture = torch.rand(1, 1, 64, 64)
    trace = pellucid.trace(net, picture)
    for index in range(4):
        leaf = picture.clone().requires_grad_()
        out = net[: index + 1](leaf)
        row, column = out.shape[2] // 2, out.shape[3] // 2
        out[0, 0, row, column].backward()
        places = leaf.grad[0, 0].nonzero()
        (top, bottom), (left, right) = trace[str(index)].receptive_field.clipped(row, column, picture=(64, 64))
        assert (places.min(0).values.tolist(), (places.max(0).values + 1).tolist()) == ([top, left], [bottom, right])


def test_watch_sees_the_users_own_loop_and_lets_go_of_the_model(nets: tuple[Residual, Unrolled], x: Tensor) -> None:
    net, twin = nets
    before = fingerprint(net)
    with torch.no_grad(), pellucid.watch(net, ["bn1", "kind:linear"], reuse=True) as seen:
        for batch in (x, x + 1):
            net(batch)
            assert torch.equal(seen["bn1"].values, twin.bn1(twin.conv1(batch)))
            assert seen["head"].values is not None
            assert seen["conv1"].values is None
    assert fingerprint(net) == before
    with pytest.raises(ZeroDivisionError), pellucid.watch(net) as seen:
        raise ZeroDivisionError
    assert fingerprint(net) == before


def test_watch_works_under_autocast(nets: tuple[Residual, Unrolled], x: Tensor) -> None:
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16), pellucid.watch(nets[0]) as seen:
        nets[0](x)
    assert seen["conv1"].dtype == "bfloat16"


def test_an_unknown_site_is_told_the_nearest(nets: tuple[Residual, Unrolled], x: Tensor) -> None:
    with pytest.raises(SiteError, match="no site 'con1'; did you mean 'conv1'"):
        pellucid.trace(nets[0], x)["con1"]


def test_a_picture_too_small_is_told_the_site_and_the_least_size() -> None:
    with pytest.raises(
        TooSmallError, match=r"too small for site 'features.0'; the least square picture that works is 34×34"
    ):
        pellucid.trace(XAI(width=2), torch.rand(1, 3, 1, 1))
    assert pellucid.trace(XAI(width=2), torch.rand(1, 3, 34, 34)).output.shape == (1, 2)


@pytest.mark.parametrize("method", [quick(method) for method in METHODS])
def test_a_method_leaves_the_model_bit_identical_also_after_an_exception(
    method: str, nets: tuple[Residual, Unrolled], x: Tensor
) -> None:
    net = nets[0].train()
    net(x).sum().backward()  # gradients of the user's own
    before = fingerprint(net)
    pellucid.explain(net, x[:1], method=method)
    assert fingerprint(net) == before
    handle = net.head.register_forward_hook(raising)
    before = fingerprint(net)
    with pytest.raises(Exception, match="stop here"):
        pellucid.explain(net, x[:1], method=method)
    assert fingerprint(net) == before
    handle.remove()


def raising(*_: object) -> None:
    raise RuntimeError("stop here")


@pytest.mark.parametrize("method", [quick(method) for method in METHODS])
def test_a_batch_is_explained_as_its_items_one_by_one(
    method: str, nets: tuple[Residual, Unrolled], x: Tensor, tmp_path: object
) -> None:
    together = list(pellucid.explain_many(nets[0], [x], methods=[method]))
    for item, why in enumerate(together):
        alone = pellucid.explain(nets[0], x[item : item + 1], method=method)
        assert torch.allclose(torch.tensor(alone.values), torch.tensor(why.values), rtol=1e-3, atol=1e-6)
        assert alone.same_as(pellucid.explain(nets[0], x[item : item + 1], method=method))
        assert pellucid.Explanation.load(alone.save(f"{tmp_path}/{item}")).same_as(alone)


@pytest.mark.parametrize("method", [quick(method) for method in METHODS])
def test_nan_weights_name_the_first_site(method: str, nets: tuple[Residual, Unrolled], x: Tensor) -> None:
    with torch.no_grad():
        nets[0].down.weight[0] = float("nan")
    with pytest.raises(NotFiniteError, match="'down'"):
        pellucid.explain(nets[0], x[:1], method=method)


def references(twin: Unrolled, x: Tensor, target: int) -> Iterator[tuple[str, Tensor]]:
    """Captum on the twin without in-place, shared or functional ReLUs."""
    yield "saliency", captum.attr.Saliency(twin).attribute(x, target, abs=False)
    yield (
        "integrated-gradients(steps=20)",
        captum.attr.IntegratedGradients(twin).attribute(x, 0.0, target, n_steps=20, method="gausslegendre"),
    )
    yield (
        "grad-cam(site=relu#2)",
        captum.attr.LayerGradCam(twin, twin.relu2).attribute(x, target, relu_attributions=True)[:, 0],
    )


def test_explanations_equal_captums(nets: tuple[Residual, Unrolled], x: Tensor) -> None:
    for method, expected in references(nets[1], x[:1].clone().requires_grad_(), 2):
        ours = torch.tensor(pellucid.explain(nets[0], x[:1], method=method, target="class:2").values)
        assert float((ours - expected[0].detach()).abs().max()) <= 1e-4 * float(expected.detach().abs().max()), method


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")
def test_guided_backpropagation_with_shared_and_functional_relus_equals_captum_on_the_unrolled_twin(
    nets: tuple[Residual, Unrolled], x: Tensor
) -> None:
    expected = captum.attr.GuidedBackprop(nets[1]).attribute(x[:1].clone().requires_grad_(), target=1)[0].detach()
    ours = torch.tensor(pellucid.explain(nets[0], x[:1], method="guided-backpropagation", target="class:1").values)
    assert float((ours - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def test_methods_that_can_share_make_one_forward_and_one_backward(nets: tuple[Residual, Unrolled], x: Tensor) -> None:
    calls = []
    nets[0].register_forward_pre_hook(lambda *_: calls.append(1))
    made = list(pellucid.explain_many(nets[0], [x], methods=["grad-cam", "saliency"]))
    assert len(made) == 4
    assert len(calls) == 1


def test_log_softmax_is_looked_through(nets: tuple[Residual, Unrolled], x: Tensor) -> None:
    ended = nn.Sequential(nets[1], nn.LogSoftmax(dim=1)).eval()
    one = pellucid.explain(ended, x[:1], method="saliency")
    other = pellucid.explain(nets[1], x[:1], method="saliency")
    assert one.looked_through == "log_softmax"
    assert torch.allclose(torch.tensor(one.values), torch.tensor(other.values), atol=1e-6)


def test_an_unknown_class_is_refused_with_what_there_is(nets: tuple[Residual, Unrolled], x: Tensor) -> None:
    with pytest.raises(TargetError, match="4"):
        pellucid.explain(nets[0], x[:1], target="class:4")


def test_importing_pellucid_loads_no_torch() -> None:
    code = "import sys, pellucid; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
