"""The engine: what it spends, shares, halves and leaves out, with autograd and plain calls as oracles."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pellucid.capture import knowledge, passes, reading
from pellucid.capture.asks import (
    Ask,
    Barred,
    Facts,
    Given,
    Op,
    PairRule,
    Parts,
    Passes,
    Piece,
    Probing,
    Reads,
    Seen,
    Variants,
)
from pellucid.capture.lockstep import Aim, run_probe
from pellucid.capture.scores import Score
from pellucid.errors import CapacityError, MethodError, ModelError


class Net(nn.Module):
    """A small residual network whose memory can be made to end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.deep = nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)
        self.calls: list[int] = []
        self.most = 1000

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        x = self.relu(self.conv(x))
        x = self.relu(self.deep(x) + x)
        return self.fc(x.mean((2, 3)))


def best(logits: Tensor, _: Facts) -> list[Score]:
    return [Score(place="logits", weights={int(i): 1.0}) for i in logits.argmax(1)]


def contrast(logits: Tensor, _: Facts) -> list[Score]:
    return [Score(place="logits", weights={0: 1.0, 2: -0.5})] * len(logits)


def read(
    module: nn.Module,
    batch: Tensor,
    *names: str,
    resolve: Sequence[Callable[..., list[Score]]] = (best,),
    spent: passes.Spent | None = None,
) -> list[reading.Seen]:
    wanted = Reads(values=frozenset(names), slopes=frozenset(names))
    found = reading.read(module, batch, reads=lambda _: wanted, resolve=list(resolve), spent=spent or passes.Spent())
    return [seen for _, _, seen in found[2]]


def by_autograd(net: Net, batch: Tensor) -> dict[str, Tensor]:
    """The slopes of the best class at the input and at each site, step by step by hand."""
    x = batch.clone().requires_grad_(True)
    conv = net.conv(x)
    one = conv.relu()
    deep = net.deep(one)
    added = deep + one
    two = added.relu()
    logits = net.fc(two.mean((2, 3)))
    places = {"input": x, "conv": conv, "relu": one, "deep": deep, "/add": added, "relu#2": two}
    slopes = torch.autograd.grad(logits.max(1).values.sum(), list(places.values()))
    return dict(zip(places, slopes, strict=True))


def test_slopes_at_every_site_equal_autograd_by_hand() -> None:
    net, batch = Net(), torch.randn(2, 3, 5, 5)
    expected = by_autograd(net, batch)
    for _ in range(2):
        seen = read(net, batch, *expected)[0]
        for name, slope in expected.items():
            assert torch.allclose(seen.slopes[name], slope, rtol=1e-5, atol=1e-8), name


def test_slopes_do_not_depend_on_the_order_or_the_company_in_which_sites_are_asked_for() -> None:
    net, batch = Net(), torch.randn(2, 3, 5, 5)
    names = ["input", "conv", "relu", "deep", "/add", "relu#2"]
    whole = read(net, batch, *names)[0]
    for chosen in (names[::-1], ["deep", "conv"], ["relu#2"], ["relu", "relu#2"], ["conv", "/add", "deep"]):
        seen = read(net, batch, *chosen)[0]
        for name in chosen:
            assert torch.equal(seen.slopes[name], whole.slopes[name]), (chosen, name)
            assert torch.equal(seen.values[name], whole.values[name]), (chosen, name)


def test_several_targets_share_one_forward_and_have_one_backward_each() -> None:
    net, batch = Net(), torch.randn(4, 3, 5, 5)
    spent = passes.Spent()
    both = read(net, batch, "input", "conv", resolve=[best, contrast], spent=spent)
    assert (spent.forwards, spent.backwards, spent.calls) == (4, 8, 1)
    assert net.calls == [4]
    for alone, together in zip((best, contrast), both, strict=True):
        assert torch.equal(
            read(net, batch, "input", "conv", resolve=[alone])[0].slopes["conv"], together.slopes["conv"]
        )


def test_reading_values_alone_needs_no_backward() -> None:
    net, batch, spent = Net(), torch.randn(2, 3, 5, 5), passes.Spent()
    wanted = Reads(values=frozenset({"conv"}))
    _, _, found = reading.read(net, batch, reads=lambda _: wanted, resolve=[best], spent=spent)
    assert (spent.forwards, spent.backwards) == (2, 0)
    assert torch.equal(found[0][2].values["conv"], net.conv(batch).detach())
    assert torch.equal(found[0][1], net(batch).max(1).values.detach())


def test_a_score_about_a_unit_is_read_at_its_site() -> None:
    net, batch = Net(), torch.randn(2, 3, 5, 5)

    def unit(logits: Tensor, _: Facts) -> list[Score]:
        return [Score(place="conv", weights={1: 2.0})] * len(logits)

    for _ in range(2):
        seen = read(net, batch, "input", "conv", resolve=[unit])[0]
        x = batch.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(2 * net.conv(x)[:, 1].mean((1, 2)).sum(), x)
        assert torch.allclose(seen.slopes["input"], slope, rtol=1e-5, atol=1e-8)
        assert torch.equal(seen.values["conv"], net.conv(batch).detach())


@pytest.mark.parametrize("most", [1, 2, 3, 5])
@pytest.mark.parametrize("names", [("input", "conv"), ("deep", "relu#2")])
@pytest.mark.parametrize("known", [False, True])
def test_a_batch_that_does_not_fit_is_halved_with_equal_results(most: int, names: tuple[str, ...], known: bool) -> None:
    net, batch = Net(), torch.randn(5, 3, 5, 5)
    expected = passes_of(net, batch, names)
    if not known:
        knowledge.forget(net)
    net.most = most
    asked: list[int] = []

    def once(logits: Tensor, facts: Facts) -> list[Score]:
        asked.append(len(logits))
        return best(logits, facts)

    ours = passes_of(net, batch, names, once)
    assert asked == [5]
    assert torch.allclose(ours[0].logits, expected[0].logits, atol=1e-6)
    assert len(ours[2][0][0]) == 5
    assert torch.allclose(ours[2][0][1], expected[2][0][1], atol=1e-6)
    for name in names:
        assert torch.allclose(ours[2][0][2].slopes[name], expected[2][0][2].slopes[name], rtol=1e-5, atol=1e-7)
        assert torch.allclose(ours[2][0][2].values[name], expected[2][0][2].values[name], rtol=1e-5, atol=1e-6)


def passes_of(net: Net, batch: Tensor, names: Sequence[str], resolve: Callable[..., list[Score]] = best) -> tuple:
    wanted = Reads(values=frozenset(names), slopes=frozenset(names))
    return reading.read(net, batch, reads=lambda _: wanted, resolve=[resolve], spent=passes.Spent())


def test_where_not_even_one_item_fits_its_size_is_told() -> None:
    net, batch = Net(), torch.randn(2, 3, 100, 100)
    passes.facts(net, batch)
    net.calls.clear()
    net.most = 0
    knowing = passes.facts
    with pytest.raises(CapacityError, match="one picture of 3×100×100 does not fit into memory"):
        read(net, batch, "input")
    assert net.calls == [2, 1]
    assert knowing is passes.facts


def test_an_error_that_is_not_about_memory_is_not_tried_again() -> None:
    net = Net()
    with pytest.raises(ModelError, match="the picture has 2 channels"):
        read(net, torch.randn(4, 2, 5, 5), "input")
    assert net.calls == [4]


# -- probes


class Path:
    """Averages slopes along a path, then asks for scores; what integrated gradients does."""

    def __init__(self, steps: int = 5) -> None:
        self.steps = steps

    def passes(self, facts: Facts) -> Passes:
        return Passes(forwards=self.steps * facts.items, backwards=self.steps * facts.items)

    def probe(self, given: Given) -> Probing:
        noise = torch.rand(self.steps, generator=given.rng)
        path = Variants(count=self.steps, make=lambda i: given.x * noise[i])
        slope = yield Ask(variants=path, want="slope", weights=tuple(float(i) for i in range(self.steps)))
        scores = yield Ask(variants=path, want="score")
        piece = Piece(place="input", axes=("channels", "height", "width"), values=slope)
        return Parts(pieces=(piece,), checks={"sum": scores.sum(0)})


def probe(net: nn.Module, batch: Tensor, size: int, spent: passes.Spent | None = None, place: str = "logits") -> Parts:
    scores = [Score(place=place, weights={1: 1.0})] * len(batch)
    return ask(net, batch, Path(), scores, spent=spent, size=size)


def ask(
    net: nn.Module, batch: Tensor, method: Any, scores: list[Score], spent: passes.Spent | None = None, size: int = 32
) -> Parts:
    aim = Aim(
        scores=scores,
        values=torch.zeros(len(batch)),
        seen=Seen(values={}, slopes={}),
        spent=spent or passes.Spent(),
    )
    facts = Facts(sites=(), aliases={}, class_site=None, items=len(batch), input_shape=tuple(batch.shape))
    [parts] = run_probe(net, batch, method, [aim], seed=4, facts=facts, batch_size=size)
    return parts


def test_a_probe_gets_weighted_slopes_and_scores_of_its_variants() -> None:
    net, batch, spent = Net(), torch.randn(3, 3, 5, 5), passes.Spent()
    found = probe(net, batch, 32, spent)
    noise = torch.rand(5, generator=torch.Generator().manual_seed(4))
    slope, total = torch.zeros_like(batch), torch.zeros(3)
    for weight, share in enumerate(noise):
        x = (batch * share).requires_grad_(True)
        score = net(x)[:, 1]
        slope += weight * torch.autograd.grad(score.sum(), x)[0]
        total += score.detach()
    assert torch.allclose(found.pieces[0].values, slope, rtol=1e-4, atol=1e-6)
    assert torch.allclose(found.checks["sum"], total, rtol=1e-5)
    assert (spent.forwards, spent.backwards, spent.calls) == (30, 15, 2)


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("place", ["logits", "deep"])
def test_the_answers_of_a_probe_do_not_depend_on_the_size_of_its_batches(size: int, place: str) -> None:
    net, batch = Net(), torch.randn(3, 3, 5, 5)
    whole, parts = probe(net, batch, 32, place=place), probe(net, batch, size, place=place)
    assert torch.allclose(whole.pieces[0].values, parts.pieces[0].values, rtol=1e-4, atol=1e-6)
    assert torch.allclose(whole.checks["sum"], parts.checks["sum"], rtol=1e-5, atol=1e-6)


def test_a_probe_halves_until_it_fits_and_does_not_try_larger_ones_again() -> None:
    net, batch = Net(), torch.randn(3, 3, 5, 5)
    whole = probe(net, batch, 32)
    net.most, net.calls = 4, []
    spent = passes.Spent()
    halved = probe(net, batch, 32, spent)
    assert torch.allclose(whole.pieces[0].values, halved.pieces[0].values, rtol=1e-4, atol=1e-6)
    assert net.calls[:3] == [15, 7, 3]
    assert set(net.calls[2:]) == {3}
    assert spent.forwards == 30
    net.most = 0
    with pytest.raises(CapacityError, match="one picture of 3×5×5 does not fit into memory"):
        probe(net, batch, 4)


def test_memory_that_ends_while_variants_are_made_is_handled_too() -> None:
    class Heavy(Path):
        def probe(self, given: Given) -> Probing:
            def make(i: int) -> Tensor:
                raise MemoryError("no room for variants")

            yield Ask(variants=Variants(count=2, make=make), want="score")
            raise AssertionError("not reached")  # pragma: no cover

    scores = [Score(place="logits", weights={0: 1.0})]
    with pytest.raises(CapacityError, match="no room for variants"):
        ask(Net(), torch.randn(1, 3, 5, 5), Heavy(), scores)


class Asks:
    """Asks for what can be asked for, and keeps the answers."""

    def __init__(self, *asks: Ask) -> None:
        self.asks, self.answers = asks, list[Any]()

    def passes(self, facts: Facts) -> Passes:
        return Passes()

    def probe(self, given: Given) -> Probing:
        for each in self.asks:
            self.answers.append((yield each))
        return Parts(pieces=(Piece(place="input", axes=("channels", "height", "width"), values=given.x),))


@pytest.mark.parametrize("size", [1, 3, 32])
def test_logits_values_and_slopes_of_variants_are_those_of_each_alone(size: int) -> None:
    net, batch = Net(), torch.randn(2, 3, 5, 5)
    variants = Variants(count=3, make=lambda i: batch * (i + 1))
    wanted = Reads(values=frozenset({"deep"}), slopes=frozenset({"deep", "input"}))
    probe = Asks(Ask(variants=variants, want="logits"), Ask(variants=variants, want="read", reads=wanted))
    scores = [Score(place="logits", weights={1: 1.0})] * 2
    ask(net, batch, probe, scores, size=size)
    logits, seen = probe.answers
    for number in range(3):
        x = (batch * (number + 1)).requires_grad_(True)
        deep = net.deep(net.relu(net.conv(x)))
        value = net(x)
        assert torch.allclose(logits[number], value.detach(), atol=1e-6)
        assert torch.allclose(seen.values["deep"][number], deep.detach(), atol=1e-6)
        slope = torch.autograd.grad(value[:, 1].sum(), x)[0]
        assert torch.allclose(seen.slopes["input"][number], slope, atol=1e-6)
    assert seen.slopes["deep"].shape == seen.values["deep"].shape


@pytest.mark.parametrize("want", ["score", "logits"])
@pytest.mark.parametrize("place", ["logits", "deep"])
def test_variants_of_a_site_give_what_a_hook_gives(want: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.capture.trials.SITE_BYTES", 1000)  # two at a time
    net, batch = Net().eval(), torch.randn(2, 3, 5, 5)
    with torch.no_grad():
        maps = net.relu(net.conv(batch))
    variants = Variants(count=5, make=lambda i: maps * (i / 4))
    probe, spent = Asks(Ask(variants=variants, want=want, site="relu")), passes.Spent()  # type: ignore[arg-type]
    ask(net, batch, probe, [Score(place=place, weights={1: 1.0})] * 2, spent)
    for number in range(5):
        with torch.no_grad():
            deep = net.deep(variants.make(number))
            logits = net.fc(net.relu(deep + variants.make(number)).mean((2, 3)))
        score = logits[:, 1] if place == "logits" else deep[:, 1].mean((1, 2))
        assert torch.allclose(probe.answers[0][number], logits if want == "logits" else score, atol=1e-6)
    assert spent.forwards == 2 * (1 + 5)


def test_variants_of_a_site_may_be_made_item_by_item() -> None:
    net, batch = Net().eval(), torch.randn(3, 3, 5, 5)
    with torch.no_grad():
        maps = net.relu(net.conv(batch))
    asked: list[tuple[int, int]] = []

    def one(number: int, item: int) -> Tensor:
        asked.append((number, item))
        return maps[item] * number

    single = Variants.of_items(2, 3, one)
    probe = Asks(
        Ask(variants=single, want="score", site="relu"),
        Ask(variants=Variants(count=2, make=lambda number: maps * number), want="score", site="relu"),
    )
    ask(net, batch, probe, [Score(place="logits", weights={1: 1.0})] * 3)
    assert torch.equal(*probe.answers)
    assert sorted(asked) == [(number, item) for number in range(2) for item in range(3)]
    assert torch.equal(single.make(1), maps)


@pytest.mark.parametrize("most", [1000, 2])
def test_bias_gradients_make_the_score_together_with_the_input_and_are_counted_once(most: int) -> None:
    net, batch, spent = Net().double(), torch.randn(5, 3, 5, 5).double(), passes.Spent()
    net.most = most
    wanted = Reads(values=frozenset({"input"}), slopes=frozenset({"input"}), bias_gradients=True)
    _, _, found = reading.read(net, batch, reads=lambda _: wanted, resolve=[best, contrast], spent=spent)
    for _, scores, seen in found:
        assert seen.bias_gradients.keys() == {"conv", "deep", "/add", "fc"}
        assert not seen.bias_gradients["/add"].any()
        terms = [seen.values["input"] * seen.slopes["input"], *seen.bias_gradients.values()]
        assert torch.allclose(sum(each.flatten(1).sum(1) for each in terms), scores)  # type: ignore[arg-type]
    if most == 1000:
        assert (spent.forwards, spent.backwards, spent.calls) == (5, 10, 1)
    slopes = by_autograd(net, batch)
    assert torch.allclose(found[0][2].bias_gradients["deep"], slopes["deep"] * net.deep.bias.detach()[:, None, None])


def test_the_global_random_generator_is_left_alone_and_the_seed_decides() -> None:
    net, batch = Net(), torch.randn(2, 3, 5, 5)
    state = torch.get_rng_state()
    one, other = probe(net, batch, 32), probe(net, batch, 32)
    assert torch.equal(one.pieces[0].values, other.pieces[0].values)
    assert torch.equal(torch.get_rng_state(), state)


# -- models that go another way


def test_a_model_that_goes_another_way_than_before_is_read_on_the_way_that_it_goes() -> None:
    class ByInput(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc((self.one(x) if x.mean() > 0 else self.two(x)).mean((2, 3)))

    module = ByInput()

    def reads(facts: Facts) -> Reads:
        name = frozenset({facts.site("last:conv").name})
        return Reads(values=name, slopes=name)

    for sign, name in ((1, "one"), (-1, "two"), (1, "one")):
        batch = sign * torch.rand(1, 3, 4, 4)
        _, facts, found = reading.read(module, batch, reads=reads, resolve=[best], spent=passes.Spent())
        assert set(found[0][2].slopes) == {name}
        assert facts.site("@1").name == name
        part = module.get_submodule(name)
        assert torch.equal(found[0][2].values[name], part(batch).detach())


# -- other backward rules


class Doubling:
    """Lets every ReLU pass twice its slope."""

    def rule(self, op: Op) -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
        return (lambda slope, before, after: 2 * slope * (before > 0)) if op.name == "relu" else None


class Relus(nn.Module):
    """ReLUs as a shared module in place, as a method, as functions, and on a view."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv, self.mix, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)
        self.inplace = inplace
        self.relu = nn.ReLU(inplace)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.mix(self.relu(self.conv(x))))
        x = self.mix(x)
        if self.inplace:
            x.flatten(1).relu_()
        else:
            x = torch.relu(input=x)
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("inplace", [False, True])
def test_another_backward_rule_reaches_every_call_of_an_operation_however_it_is_called(inplace: bool) -> None:
    module, batch = Relus(inplace), torch.randn(2, 3, 4, 4)
    expected = read(module, batch, "input")[0].slopes["input"]
    plain = module(batch).detach()
    wanted = Reads(slopes=frozenset({"input"}))
    for _ in range(2):
        answer, _, found = reading.read(
            module, batch, reads=lambda _: wanted, resolve=[best], spent=passes.Spent(), ruling=Doubling().rule
        )
        assert torch.equal(answer.logits, plain)
        assert torch.allclose(found[0][2].slopes["input"], 8 * expected, rtol=1e-5)
    assert torch.equal(read(module, batch, "input")[0].slopes["input"], expected)


def slope_with(module: nn.Module, batch: Tensor, ruling: Any) -> Tensor:
    wanted = Reads(slopes=frozenset({"input"}))
    _, _, found = reading.read(
        module, batch, reads=lambda _: wanted, resolve=[best], spent=passes.Spent(), ruling=ruling
    )
    return found[0][2].slopes["input"]


@pytest.mark.parametrize("inplace", [False, True])
def test_a_rule_may_use_the_operations_own_derivative(inplace: bool) -> None:
    module, batch = Relus(inplace), torch.randn(2, 3, 4, 4)

    def own_twice(slope: Tensor, before: Tensor, after: Tensor, own: Callable[[Tensor], Tensor]) -> Tensor:
        assert torch.equal(own(slope), slope * (before > 0))
        return 2 * own(slope)

    expected = read(module, batch, "input")[0].slopes["input"]
    made = slope_with(module, batch, lambda op: PairRule(rule=own_twice) if op.name == "relu" else None)
    assert torch.allclose(made, 8 * expected, rtol=1e-5)


class Products(nn.Module):
    """Multiplies by a weight, by itself, by a mask and by a mask made a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale, self.fc = nn.Conv2d(3, 4, 1), nn.Parameter(torch.ones(4, 1, 1)), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x) * self.scale
        x = self.scale * x
        x = torch.mul(x, x)
        x = x * (x > 0)
        x = x * (x > 0).float()
        return self.fc(torch.add(1, x).mean((2, 3)))


def test_a_rule_is_told_which_arguments_depend_on_the_picture_and_the_settings() -> None:
    module, seen = Products(), list[Op]()

    def watching(op: Op) -> None:
        seen.append(op)

    slope_with(module, torch.randn(2, 3, 4, 4), watching)
    products = [(op.first, op.others) for op in seen if op.name == "mul"]
    assert products[-5:] == [(True, 0), (False, 1), (True, 1), (True, 1), (True, 1)]
    assert next(op for op in reversed(seen) if op.name == "mean").settings["dim"] == (2, 3)


@pytest.mark.parametrize("inplace", [False, True])
def test_where_a_gradient_comes_by_a_barred_operation_it_is_refused_and_elsewhere_not(inplace: bool) -> None:
    class Aside(Relus):
        def forward(self, x: Tensor) -> Tensor:
            torch.sigmoid(x).exp_()  # nothing is done with it
            return super().forward(x)

    module, batch = Aside(inplace), torch.randn(2, 3, 4, 4)
    expected = read(module, batch, "input")[0].slopes["input"]
    aside = slope_with(module, batch, lambda op: Barred(why="no") if op.name in ("sigmoid", "exp") else None)
    assert torch.equal(aside, expected)
    with pytest.raises(MethodError, match=r"^no way through relu$"):
        slope_with(module, batch, lambda op: Barred(why=f"no way through {op.name}") if op.name == "relu" else None)


@pytest.mark.parametrize("size", [1, 2, 3, 32])
@pytest.mark.parametrize("place", ["logits", "deep"])
def test_a_rule_sees_each_variant_beside_its_partner_and_only_variants_have_slopes(size: int, place: str) -> None:
    net, batch, spent = Net(), torch.randn(3, 3, 5, 5), passes.Spent()
    variants = Variants(count=2, make=lambda i: batch * (i + 1))
    partners = Variants(count=2, make=lambda i: batch * (i + 1) + 1)
    seen: list[bool] = []

    def rule(slope: Tensor, before: Tensor, after: Tensor) -> Tensor:
        mine, others = slope.chunk(2)
        seen.append(bool(others.any()))
        one, other = before.chunk(2)
        return torch.cat([mine * (one - other), torch.zeros_like(others)])

    probe = Asks(
        Ask(
            variants=variants,
            partners=partners,
            want="read",
            reads=Reads(values=frozenset({"conv"}), slopes=frozenset({"input"})),
            ruling=lambda op: rule if op.name == "relu" and op.site == "relu" else None,
        )
    )
    ask(net, batch, probe, [Score(place=place, weights={1: 1.0})] * 3, spent, size=size)
    [found] = probe.answers
    assert not any(seen)
    assert seen
    assert (spent.forwards, spent.backwards) == (12, 12)
    for number in range(2):
        x, beside = variants.make(number), partners.make(number)
        conv = net.conv(x).detach()
        assert torch.allclose(found.values["conv"][number], conv, atol=1e-6)
        one = conv.relu().requires_grad_()
        deep = net.deep(one)
        score = net.fc((deep + one).relu().mean((2, 3)))[:, 1] if place == "logits" else deep[:, 1].mean((1, 2))
        [slope] = torch.autograd.grad(score.sum(), one)
        slope = slope * (conv - net.conv(beside).detach())
        expected = torch.nn.functional.conv_transpose2d(slope, net.conv.weight.detach(), padding=net.conv.padding)
        assert torch.allclose(found.slopes["input"][number], expected, rtol=1e-4, atol=1e-6)


def test_pairs_stay_together_when_memory_runs_out() -> None:
    net, batch = Net(), torch.randn(3, 3, 5, 5)
    question = Ask(
        variants=Variants(count=2, make=lambda i: batch * (i + 1)),
        partners=Variants(count=2, make=lambda i: batch * (i + 1) + 1),
        want="read",
        reads=Reads(slopes=frozenset({"input"})),
        ruling=lambda op: (lambda slope, before, after: slope * before.flip(0)) if op.name == "relu" else None,
    )
    scores = [Score(place="logits", weights={1: 1.0})] * 3
    net.most = 1
    with pytest.raises(CapacityError, match="one picture"):
        ask(net, batch, Asks(question), scores)
    net.most, net.calls = 5, []
    ask(net, batch, probe := Asks(question), scores)
    assert set(net.calls[1:]) <= {4, 2, 6, 3}
    assert all(calls % 2 == 0 for calls in net.calls)
    assert probe.answers[0].slopes["input"].shape == (2, 3, 3, 5, 5)


def test_variants_of_a_score_about_a_unit_can_be_read() -> None:
    net, batch = Net(), torch.randn(2, 3, 5, 5)
    question = Ask(
        variants=Variants(count=2, make=lambda i: batch * (i + 1)),
        want="read",
        reads=Reads(slopes=frozenset({"input"})),
    )
    ask(net, batch, probe := Asks(question), [Score(place="conv", weights={1: 2.0})] * 2)
    x = batch.clone().requires_grad_()
    [slope] = torch.autograd.grad(2 * net.conv(x)[:, 1].mean((1, 2)).sum(), x)
    assert torch.allclose(probe.answers[0].slopes["input"][0], slope, rtol=1e-5, atol=1e-8)


def test_a_model_that_overwrites_what_its_own_derivative_needs_is_refused_in_one_line() -> None:
    class Spoils(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(x).exp()
            z = y * 2
            y.zero_()
            return z + self.fc(x).sigmoid().mul_(2) + y

    scores = [Score(place="logits", weights={0: 1.0})]
    with pytest.raises(ModelError, match=r"no derivative can be taken through this model: .* modified by an inplace"):
        read(Spoils(), torch.randn(1, 4), "input")
    with pytest.raises(ModelError, match="no derivative can be taken through this model"):
        ask(Spoils(), torch.randn(1, 4), Path(), scores)


def test_what_is_known_is_about_the_batch_that_was_asked_about() -> None:
    net = Net()
    passes.facts(net, torch.randn(2, 3, 5, 5))
    facts = passes.facts(net, torch.randn(7, 3, 5, 5))
    assert (facts.items, facts.input_shape, facts.class_site) == (7, (7, 3, 5, 5), "fc")
    assert facts.last_maps().name == "relu#2"
    assert net.calls == [1]
    for side in range(5, 25):  # only the latest few shapes are remembered
        passes.facts(net, torch.randn(1, 3, side, side))
    net.calls.clear()
    passes.facts(net, torch.randn(1, 3, 24, 24))
    passes.facts(net, torch.randn(1, 3, 5, 5))
    assert net.calls == [1]


def test_the_class_layer_is_found_quickly_also_where_paths_multiply() -> None:
    class Diamonds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.fc(x)
            for _ in range(40):
                x = x.sin() + x.cos()
            return x

    assert passes.facts(Diamonds(), torch.randn(1, 4)).class_site == "fc"


def test_a_probe_knows_what_the_score_of_each_item_is_made_of() -> None:
    class Knowing(Path):
        def probe(self, given: Given) -> Probing:
            weights = torch.tensor([[score.weights[1]] for score in given.explained])
            yield Ask(variants=Variants(count=1, make=lambda _: given.x), want="score")
            return Parts(pieces=(Piece(place="input", axes=("items",), values=weights),))

    scores = [Score(place="logits", weights={1: weight}) for weight in (1.0, -2.0)]
    found = ask(Net(), torch.randn(2, 3, 5, 5), Knowing(), scores)
    assert found.pieces[0].values.flatten().tolist() == [1.0, -2.0]
