import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tests.methods.nets import NETS, SHAPE, InPlace, Net, image, model, net, pictures
from torch import Tensor, nn

import pellucid
from pellucid import Explanation
from pellucid.errors import CapacityError, InputError, MethodError, ModelError, SettingError, SiteError, TargetError

ALL = ["saliency", "grad-cam", "guided-backpropagation", "integrated-gradients(steps=3)"]


class Counted(Net):
    """Counts its forward calls, the backward calls that reach its first layer, and the items in each."""

    def __init__(self) -> None:
        super().__init__()
        self.forwards: list[int] = []
        self.backwards: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.forwards.append(len(x))
        if x.requires_grad or self.one.weight.requires_grad:
            x = x * 1
        y = self.one(x)
        if y.requires_grad:
            y.register_hook(lambda slope: self.backwards.append(len(slope)))
        return self.last(torch.relu(self.two(torch.relu(y))).mean((2, 3)))


def known(module: nn.Module, x: Tensor) -> nn.Module:
    """The model, after one look at it: facts are found with a forward pass of their own or within the first one."""
    pellucid.explain(module, x[:1], method="saliency")
    for counts in (module.forwards, module.backwards):
        counts.clear()
    return module


@pytest.mark.parametrize("first_time", [True, False])
def test_methods_on_many_pictures_share_one_forward_and_one_backward(first_time: bool) -> None:
    module, x = Counted(), pictures(6)
    if not first_time:
        known(module, x)
    made = list(pellucid.explain_many(module, [x], methods=["saliency", "grad-cam", "grad-cam(site=one)"]))
    assert len(made) == 18
    assert (module.forwards, module.backwards) == ([6], [6])


def test_several_targets_share_one_forward() -> None:
    module, x = Counted(), pictures(6)
    targets = ["top:1", "class:2", "contrast:0,1"]
    list(pellucid.explain_many(module, [x], methods=["saliency", "grad-cam"], targets=targets))
    assert (module.forwards, module.backwards) == ([6], [6, 6, 6])


def test_a_probe_shares_the_forward_that_finds_the_target() -> None:
    module, x = Counted(), pictures(2)
    methods = ["saliency", "integrated-gradients(steps=3)"]
    list(pellucid.explain_many(module, [x], methods=methods, targets=["top:1", "top:2"]))
    # One shared pass; then three points and the far end on the path of each item, for both targets at once.
    assert module.forwards[0] == 2
    assert sum(module.forwards[1:]) == 2 * (3 + 1)
    only = Counted()
    list(pellucid.explain_many(only, [x], methods=methods[1:], targets=["top:1", "top:2"]))
    assert sum(only.forwards) == 2 + 2 * (3 + 1)


def test_no_pass_has_more_items_than_the_batch_size() -> None:
    module = Counted()
    list(pellucid.explain_many(module, [pictures(7)], methods=ALL, batch_size=3))
    assert max(module.forwards) == 3


def test_one_explanation_comes_per_input_method_and_target_in_that_order() -> None:
    inputs, targets = [pictures(1, seed=i) for i in range(5)], ["class:1", "class:0"]
    made = list(pellucid.explain_many(net("residual"), inputs, methods=ALL, targets=targets, batch_size=2))
    expected = itertools.product(range(5), ALL, targets)
    for explanation, (i, method, target) in zip(made, expected, strict=True):
        alone = pellucid.explain(net("residual"), inputs[i], method=method, target=target)
        assert (explanation.method, explanation.target) == (alone.method, alone.target)
        assert explanation.input_digest == alone.input_digest
        assert np.allclose(explanation.values, alone.values, atol=1e-6)


def test_inputs_of_different_sizes_are_grouped_and_stay_in_order() -> None:
    module = Counted()
    inputs = [pictures(1, seed=i, shape=(3, 12, 12) if i % 2 else (3, 10, 14)) for i in range(6)]
    made = list(pellucid.explain_many(module, inputs, methods=["saliency"]))
    assert [each.values.shape for each in made] == [tuple(x.shape[1:]) for x in inputs]
    assert module.forwards == [3, 3]


def test_inputs_of_different_types_are_not_mixed() -> None:
    module = model(net("residual"))
    made = list(pellucid.explain_many(module, [image(), pictures(), image(seed=3)], methods=["saliency"]))
    assert [each.subject is None for each in made] == [False, True, False]


def test_inputs_are_read_when_they_are_needed_and_no_sooner() -> None:
    taken: list[int] = []

    def endless() -> Iterator[Tensor]:
        for i in itertools.count():
            taken.append(i)
            yield pictures(1, seed=i)

    made = pellucid.explain_many(net("shared"), endless(), methods=["saliency"], batch_size=2)
    assert taken == []
    assert isinstance(next(made), Explanation)
    assert taken == [0, 1]
    next(made)
    assert taken == [0, 1]
    next(made)
    assert taken == [0, 1, 2, 3]


def test_a_single_input_is_taken_as_one() -> None:
    module = model(net("residual"))
    for single in (image(), image().pixels, image().pil(), pictures()):
        assert len(list(pellucid.explain_many(module, single, methods=["saliency"]))) == 1
    assert len(list(pellucid.explain_many(module, pictures(3), methods=["saliency"]))) == 3
    assert len(list(pellucid.explain_many(module, np.stack([image().pixels] * 2), methods=["saliency"]))) == 2
    assert list(pellucid.explain_many(module, [], methods=["saliency"])) == []


def test_progress_counts_what_is_made() -> None:
    seen: list[tuple[float, int]] = []
    inputs = [pictures(2), pictures(1)]
    list(pellucid.explain_many(net("shared"), inputs, methods=ALL[:2], progress=lambda *now: seen.append(now)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (6, 6)
    seen.clear()
    list(pellucid.explain_many(net("shared"), iter(inputs), methods=ALL[:2], progress=lambda *now: seen.append(now)))
    assert seen[-1] == (6, 0)


def test_progress_goes_on_within_a_method_of_many_passes() -> None:
    shares: list[float] = []
    pellucid.explain(
        net("shared"),
        pictures(),
        method="smooth-grad(samples=100)",
        progress=lambda share, total: shares.append(share / total),
    )
    assert len(shares) >= 100 // 16
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.3
    assert shares[-1] == 1


@pytest.mark.parametrize("targets", [["top:1", "top:2"], ["unit:'one'/0", "unit:'one'/1"]])
def test_progress_of_several_targets_goes_on_to_the_end_whether_they_share_passes_or_not(targets: list[str]) -> None:
    shares: list[float] = []
    many = pellucid.explain_many(
        net("shared"),
        pictures(),
        methods=["occlusion(window=2, stride=1)"],
        targets=targets,
        progress=lambda done, total: shares.append(done / total),
    )
    assert len(list(many)) == 2
    assert shares == sorted(shares)
    assert max(later - earlier for earlier, later in itertools.pairwise(shares)) < 0.4
    assert shares[-1] == 1


@pytest.mark.parametrize("method", ["smooth-grad(samples=100)", "occlusion(window=2, stride=1)", "rise(masks=100)"])
def test_what_progress_raises_ends_the_work_and_leaves_the_model_alone(method: str) -> None:
    class CancelledError(Exception):
        pass

    shares: list[float] = []

    def stop(share: float, total: int) -> None:
        shares.append(share)
        if share > 0.3:
            raise CancelledError

    module = net("batch norm")
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(CancelledError):
        pellucid.explain(module, pictures(), method=method, progress=stop)
    assert shares[-1] < 0.9
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert not module._forward_hooks
    assert all(p.requires_grad and p.grad is None for p in module.parameters())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"methods": []}, SettingError, "methods is [], expected a list with at least one entry."),
        ({"methods": "saliency"}, SettingError, "methods is 'saliency', expected a list with at least one entry."),
        ({"methods": ["saliency"], "targets": []}, SettingError, "targets is [], expected a list"),
        ({"methods": ["saliency"], "targets": "top:1"}, SettingError, "targets is 'top:1', expected a list"),
        ({"methods": ["saliency"], "targets": ["cat"]}, TargetError, "target 'cat' cannot be read; write it as"),
        ({"methods": ["salience"]}, MethodError, "no method 'salience'; did you mean 'saliency'?"),
        (
            {"methods": ["saliency"], "batch_size": 0},
            SettingError,
            "batch_size is 0, expected a whole number, 1 or more",
        ),
    ],
)
def test_wrong_words_are_refused_before_an_input_is_read(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        pellucid.explain_many(net("shared"), iter(()), **arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([pictures()], "explain takes one input, a list of 1 was given; use explain_many for lists."),
        (pictures(2), "explain takes one input, a tensor of shape (2, 3, 12, 12) was given: 2 items"),
        (pictures()[0], "Use explain_many for several, or x[None] for one item without a batch axis."),
        (torch.zeros(1, *SHAPE, dtype=torch.uint8), "a tensor of uint8 was given, expected prepared floats"),
    ],
)
def test_what_is_not_one_input_is_refused(given: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        pellucid.explain(net("shared"), given)
    assert message in str(caught.value)


def test_a_site_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(SiteError, match=r"no site 'twoo'; did you mean 'two'\?"):
        pellucid.explain(net("shared"), pictures(), method="grad-cam(site=twoo)")


def test_a_site_that_the_score_does_not_depend_on_is_refused() -> None:
    with pytest.raises(MethodError, match="the score does not depend on site 'two'"):
        pellucid.explain(net("shared"), pictures(), method="grad-cam(site=two)", target="unit:one/1")


def test_hostile_outputs_are_refused_by_name() -> None:
    class Dict(Net):
        def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            return {"logits": super().forward(x)}

    with pytest.raises(ModelError, match="returned a dict with the keys 'logits', expected one tensor of logits"):
        pellucid.explain(Dict(), pictures())


def test_a_model_may_take_another_way_for_another_picture() -> None:
    class Branching(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.last(
                torch.relu(self.one(x) if x.detach().sum() > 0 else self.two(x.repeat(1, 2, 1, 1))).mean((2, 3))
            )

    module, x = Branching(), pictures().abs()
    for given in (x, -x, x):
        made = pellucid.explain(module, given, method="saliency", target="class:0")
        leaf = given.clone().requires_grad_()
        expected = torch.autograd.grad(module(leaf)[0, 0], leaf)[0][0].numpy()
        assert np.allclose(made.values, expected, atol=1e-7)


# -- memory


class Small(InPlace):
    """Runs out of memory where more than `fits` items come at once; a list of the sizes that were tried."""

    def __init__(self, fits: int, error: Exception) -> None:
        super().__init__()
        self.fits, self.error = fits, error
        self.tried: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.tried.append(len(x))
        if len(x) > self.fits:
            raise self.error
        return super().forward(x)


ON_CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
ON_CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("error", [ON_CUDA, ON_CPU], ids=["cuda", "cpu"])
def test_a_batch_that_does_not_fit_is_halved_and_the_size_remembered(method: str, error: Exception) -> None:
    module, x = Small(2, error), pictures(24)
    made = list(pellucid.explain_many(module, [x], methods=[method], batch_size=8))
    too_large = [size for size in module.tried if size > 2]
    assert too_large[:2] == [8, 4]
    # Tried once, not for every batch of eight.
    assert len(too_large) == 2
    module.fits = 24
    for explanation, whole in zip(made, pellucid.explain_many(module, [x], methods=[method]), strict=True):
        assert np.allclose(explanation.values, whole.values, atol=1e-6)
        assert explanation.target == whole.target


@pytest.mark.parametrize("method", ALL)
def test_when_not_even_one_item_fits_that_is_said(method: str) -> None:
    module = Small(0, ON_CUDA)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(
        CapacityError, match=r"one picture of 3×12×12 does not fit into memory.*; give a smaller picture"
    ):
        list(pellucid.explain_many(module, [pictures(3)], methods=[method]))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not module.relu._forward_hooks


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    module = Small(0, RuntimeError("no such kernel"))
    with pytest.raises(ModelError, match="no such kernel"):
        list(pellucid.explain_many(module, [pictures(4)], methods=["saliency"]))
    assert module.tried == [4]


def test_every_network_of_the_contracts_answers_with_one_row_per_picture() -> None:
    for name in NETS:
        made = pellucid.explain(net(name), pictures(), method="saliency")
        assert made.logits.ndim == 1
