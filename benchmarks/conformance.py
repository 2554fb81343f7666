"""Every method beside the reference implementation: the largest relative difference on each network.

    python benchmarks/conformance.py [--json] [--networks N …] [--methods M …] [--write docs/conformance.md]

All in double precision, so that what differs is the method and not the rounding. Networks with in-place activations are
given to the peers as copies without; where a network calls one ReLU several times, or as a function, the peers that
hook modules get a twin with a module for each call. A difference above 1e-4 that is not explained ends with exit
code 1.
"""

import argparse
import copy
import importlib.util
import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from attribution import network
from peers import torchvision_beside_any_torch
from real_networks import DATA, real_network
from torch import Tensor, nn

import pellucid
from pellucid.errors import PellucidError
from pellucid.methods.catalogue import METHODS

LIMIT = 1e-4
SIDE = 64


class Reused(nn.Module):
    """One ReLU module for every activation, one of them after a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.relu(self.one(x))
        x = self.relu(x + self.two(x))
        return self.last(self.relu(x.mean((2, 3)) - 0.01))


class Functional(Reused):
    """The same with functions, one of them in place."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = torch.relu(self.one(x))
        x = (x + self.two(x)).relu_()
        return self.last(F.relu(x.mean((2, 3)) - 0.01))


class Unrolled(Reused):
    """The same with a module for each call, as peers need it."""

    def __init__(self) -> None:
        super().__init__()
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.relu1(self.one(x))
        x = self.relu2(x + self.two(x))
        return self.last(self.relu3(x.mean((2, 3)) - 0.01))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network and what is asked of it.

    Attributes:
        module: As a user has it.
        twin: As peers need it: nothing in place, a module for each call of a ReLU where we know one.
        layer: The last module with feature maps.
        canonizer: Zennit's, by name, for networks with batch norms; empty where there is none.
        reuses: Whether even the twin calls a ReLU module several times.
    """

    module: nn.Module
    twin: nn.Module
    layer: str
    canonizer: str = ""
    reuses: bool = False


def _plain(module: nn.Module) -> nn.Module:
    """A copy without operations in place."""
    made = copy.deepcopy(module)
    for part in made.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]
    return made


def _small(kind: type[nn.Module]) -> Subject:
    torch.manual_seed(0)
    twin = Unrolled()
    module = kind()
    module.load_state_dict(twin.state_dict(), strict=False)
    return Subject(module=module.double().eval(), twin=twin.double().eval(), layer="two")


def _of(name: str, layer: str, **more: Any) -> Callable[[], Subject]:
    def build() -> Subject:
        module = network(name).double()
        return Subject(module=module, twin=_plain(module), layer=layer, **more)

    return build


def _real(name: str, layer: str, **more: Any) -> Callable[[], Subject]:
    def build() -> Subject:
        module = real_network(name, DATA).module.double()
        return Subject(module=module, twin=_plain(module), layer=layer, **more)

    return build


NETWORKS: dict[str, Callable[[], Subject]] = {
    "functional ReLU": lambda: _small(Functional),
    "reused ReLU": lambda: _small(Reused),
    "resnet18, random": _of("resnet18", "layer4", canonizer="ResNetCanonizer", reuses=True),
    "vgg11_bn, random": _of("vgg11_bn", "features.27", canonizer="VGGCanonizer"),
    "mobilenet_v2, real": _real("mobilenet_v2", "features.18"),
    "squeezenet1_0, real": _real("squeezenet1_0", "features.12"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What a method is compared with.

    Attributes:
        text: Our method in text form; {layer} is the layer.
        peer: What it is compared with.
        run: The peer's answer, from the network, the input, the class and the layer.
        hooks: Whether the peer hooks ReLU modules, and so needs one for each call.
    """

    text: str
    peer: str
    run: Callable[[nn.Module, Tensor, int, str], Tensor | np.ndarray]
    hooks: bool = False


def _captum(name: str, **settings: Any) -> Callable[[nn.Module, Tensor, int, str], Tensor]:
    def run(module: nn.Module, x: Tensor, target: int, _layer: str) -> Tensor:
        import captum.attr

        made = getattr(captum.attr, name)(module)
        return made.attribute(x.clone().requires_grad_(), target=target, **settings)[0]  # type: ignore[no-any-return]

    return run


def _captum_at(name: str, **settings: Any) -> Callable[[nn.Module, Tensor, int, str], Tensor]:
    def run(module: nn.Module, x: Tensor, target: int, layer: str) -> Tensor:
        import captum.attr

        made = getattr(captum.attr, name)(module, module.get_submodule(layer))
        found = made.attribute(x.clone().requires_grad_(), target=target, **settings)[0]
        return found[0] if name in ("LayerGradCam",) else found  # type: ignore[no-any-return]

    return run


def _summed(run: Callable[[nn.Module, Tensor, int, str], Tensor], axes: tuple[int, ...]) -> Callable[..., Tensor]:
    return lambda *given: run(*given).sum(axes)


def _torchcam(name: str) -> Callable[[nn.Module, Tensor, int, str], Tensor]:
    def run(module: nn.Module, x: Tensor, target: int, layer: str) -> Tensor:
        from torchcam import methods

        with getattr(methods, name)(module, layer, input_shape=tuple(x.shape[1:])) as extractor:
            [maps] = extractor(target, module(x), normalized=False)
        return maps[0]  # type: ignore[no-any-return]

    return run


def _grad_cam_package(name: str) -> Callable[[nn.Module, Tensor, int, str], np.ndarray]:
    """Of pytorch-grad-cam the map before it is cut, enlarged and rescaled."""

    def run(module: nn.Module, x: Tensor, target: int, layer: str) -> np.ndarray:
        import pytorch_grad_cam as peers
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        there = module.get_submodule(layer)
        with getattr(peers, name)(model=module, target_layers=[there]) as cam:
            outputs = cam.activations_and_grads(x.clone().requires_grad_())
            outputs[0, target].backward(retain_graph=True)
            maps = cam.activations_and_grads.activations[0].detach().numpy()
            slopes = cam.activations_and_grads.gradients[0].detach().numpy()
            goals = [ClassifierOutputTarget(target)]
            made = cam.get_cam_image(x, there, goals, maps, slopes, False)
        module.zero_grad()
        return np.asarray(made)[0].clip(min=0)

    return run


def _feature_ablation(module: nn.Module, x: Tensor, target: int, _layer: str) -> Tensor:
    import captum.attr

    rows, columns = (torch.arange(SIDE) * 4 // SIDE for _ in range(2))
    mask = (rows[:, None] * 4 + columns[None, :])[None, None]
    return captum.attr.FeatureAblation(module).attribute(x, target=target, feature_mask=mask)[0]  # type: ignore[no-any-return]


def _without_channels(module: nn.Module, x: Tensor, target: int, layer: str) -> Tensor:
    """One pass with hooks for each channel."""
    there = module.get_submodule(layer)
    channel = -1

    def change(_module: nn.Module, _given: Any, made: Tensor) -> Tensor:
        changed = made.clone()
        if channel >= 0:
            changed[:, channel] = 0
        return changed

    handle = there.register_forward_hook(change)
    falls = []
    with torch.no_grad():
        whole = module(x)[0, target]
        for channel in range(_maps(module, x, layer).shape[0]):  # noqa: B007  # the hook reads it
            falls.append(whole - module(x)[0, target])  # noqa: PERF401
    handle.remove()
    return torch.stack(falls)


def _maps(module: nn.Module, x: Tensor, layer: str) -> Tensor:
    kept: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _m, _g, made: kept.append(made.detach()))
    with torch.no_grad():
        module(x)
    handle.remove()
    return kept[-1][0]


def _ablation_cam(module: nn.Module, x: Tensor, target: int, layer: str) -> Tensor:
    falls = _without_channels(module, x, target, layer)
    with torch.no_grad():
        score = module(x)[0, target]
    return (falls / score)[:, None, None].mul(_maps(module, x, layer)).sum(0).clamp(min=0)


def _slopes(module: nn.Module, x: Tensor, target: int, layer: str) -> tuple[Tensor, Tensor]:
    """What a layer returns, and the slope of a logit there, by hooks."""
    kept: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _m, _g, made: kept.append(made))
    score = module(x)[0, target]
    handle.remove()
    return kept[-1][0].detach(), torch.autograd.grad(score, kept[-1])[0][0]


def _plus_plus(module: nn.Module, x: Tensor, target: int, layer: str) -> Tensor:
    """Equations 5 and 19 with g² written out of the fraction."""
    maps, slopes = _slopes(module, x, target, layer)
    weights = (slopes.clamp(min=0) / (2 + maps.sum((1, 2), keepdim=True) * slopes)).nan_to_num().sum((1, 2))
    return (weights[:, None, None] * maps).sum(0).clamp(min=0)


def _first_component(given: Tensor) -> Tensor:
    """Positions along the first right singular vector, not centred."""
    rows = given.flatten(1).T.numpy()
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return torch.from_numpy(rows @ vectors[:, -1]).reshape(given.shape[1:])


_OCCLUSION = _captum("Occlusion", sliding_window_shapes=(3, 16, 16), strides=(3, 16, 16))
AGAINST: dict[str, Against] = {
    "saliency": Against(text="saliency", peer="captum Saliency, signed", run=_captum("Saliency", abs=False)),
    "input-x-gradient": Against(text="input-x-gradient", peer="captum InputXGradient", run=_captum("InputXGradient")),
    "integrated-gradients": Against(
        text="integrated-gradients(steps=20)",
        peer="captum IntegratedGradients, gausslegendre",
        run=_captum("IntegratedGradients", n_steps=20, method="gausslegendre"),
    ),
    "guided-backpropagation": Against(
        text="guided-backpropagation", peer="captum GuidedBackprop", run=_captum("GuidedBackprop"), hooks=True
    ),
    "deconvnet": Against(text="deconvnet", peer="captum Deconvolution", run=_captum("Deconvolution"), hooks=True),
    "deeplift": Against(text="deeplift", peer="captum DeepLift", run=_captum("DeepLift"), hooks=True),
    "guided-grad-cam": Against(
        text="guided-grad-cam(site={layer})",
        peer="captum GuidedGradCam, bilinear",
        run=_captum_at("GuidedGradCam", interpolate_mode="bilinear"),
        hooks=True,
    ),
    "occlusion": Against(
        text="occlusion(window=16, stride=16)",
        peer="captum Occlusion",
        run=lambda *given: _OCCLUSION(*given)[0],
    ),
    "feature-ablation": Against(
        text="feature-ablation(segments=grid:4)",
        peer="captum FeatureAblation",
        run=lambda *given: _feature_ablation(*given)[0],
    ),
    "grad-cam": Against(
        text="grad-cam(site={layer})",
        peer="captum LayerGradCam",
        run=_captum_at("LayerGradCam", relu_attributions=True),
    ),
    "cam": Against(text="cam", peer="pytorch-grad-cam GradCAM on the last maps", run=_grad_cam_package("GradCAM")),
    "grad-cam++": Against(
        text="grad-cam++(site={layer}, exponent=score)", peer="the paper's equations 5 and 19", run=_plus_plus
    ),
    "xgrad-cam": Against(text="xgrad-cam(site={layer})", peer="torch-cam XGradCAM", run=_torchcam("XGradCAM")),
    "layer-cam": Against(text="layer-cam(site={layer})", peer="torch-cam LayerCAM", run=_torchcam("LayerCAM")),
    "hirescam": Against(
        text="hirescam(site={layer})",
        peer="captum LayerGradientXActivation, summed",
        run=_summed(_captum_at("LayerGradientXActivation"), (0,)),
    ),
    "eigen-cam": Against(
        text="eigen-cam(site={layer})",
        peer="eigenvectors of OᵀO, up to the sign",
        run=lambda module, x, target, layer: _first_component(_slopes(module, x, target, layer)[0]),
    ),
    "eigen-grad-cam": Against(
        text="eigen-grad-cam(site={layer}, sign=both)",
        peer="eigenvectors for slopes × maps, up to the sign",
        run=lambda *given: _first_component(torch.mul(*_slopes(*given))),
    ),
    "ablation-cam": Against(
        text="ablation-cam(site={layer})", peer="the paper's formula, passes with hooks", run=_ablation_cam
    ),
    "gradient-x-activation": Against(
        text="gradient-x-activation(site={layer})",
        peer="captum LayerGradientXActivation, summed over positions",
        run=_summed(_captum_at("LayerGradientXActivation"), (1, 2)),
    ),
    "conductance": Against(
        text="conductance(site={layer}, steps=5, rule=left)",
        peer="captum LayerConductance, riemann_trapezoid",
        run=_summed(_captum_at("LayerConductance", n_steps=5, method="riemann_trapezoid"), (1, 2)),
    ),
    "channel-ablation": Against(text="channel-ablation(site={layer})", peer="passes with hooks", run=_without_channels),
}

SAMPLED = {
    "smooth-grad": "captum NoiseTunnel with the same noise",
    "expected-gradients": "its own formula on the same draws; the gap lies within its standard error",
    "gradient-shap": "captum GradientShap, within standard errors",
    "kernel-shap": "exact Shapley values of small games; captum KernelShap with many samples",
    "shapley": "exact Shapley values of small games; captum ShapleyValues",
    "lime": "scikit-learn's weighted regressions on the same samples",
    "rise": "the paper's sum over the same masks",
    "extremal-perturbation": "the paper's objective, step by step",
    "sufficient-region": "all subsets of small games",
    "necessary-region": "all subsets of small games",
    "score-cam": "torch-cam ScoreCAM where both enlarge alike",
    "fullgrad": "completeness, and bias terms by automatic differentiation",
    "excitation-backprop": "the paper's probabilities, layer by layer",
}
"""Methods that draw, search or differ from every peer by what the paper says; their own tests hold the comparison."""


def _lrp(subject: Subject, x: Tensor, target: int) -> tuple[np.ndarray, np.ndarray]:
    from zennit import composites, torchvision
    from zennit.attribution import Gradient

    canonizers = [getattr(torchvision, subject.canonizer)()] if subject.canonizer else []
    composite = composites.EpsilonPlusFlat(canonizers=canonizers)
    scores = torch.zeros_like(subject.twin(x)).detach()
    scores[0, target] = subject.twin(x)[0, target].detach()
    with Gradient(model=copy.deepcopy(subject.twin), composite=composite) as attributor:
        _, expected = attributor(x.clone(), scores)
    ours = pellucid.explain(subject.module, x, method="lrp(composite=epsilon-plus-flat)", target=f"class:{target}")
    return ours.values, expected[0].detach().numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison; `difference` is the largest one over the largest value of the peer."""

    row: str
    network: str
    method: str
    reference: str
    difference: float | None
    limit: float
    explained: str


def compared(method: str, name: str, subject: Subject) -> Row:
    """One method on one network."""

    def row(reference: str, difference: float | None, explained: str = "") -> Row:
        return Row(
            row=f"{method} / {name}", network=name, method=method, reference=reference, difference=difference,
            limit=LIMIT, explained=explained,
        )  # fmt: skip

    x = torch.rand((1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4 - 2
    with torch.no_grad():
        target = int(subject.module(x)[0].argmax())
    try:
        if method == "lrp":
            peer = "zennit EpsilonPlusFlat"
            if isinstance(subject.twin, Unrolled):
                return row(peer, None, "the peer has no rule for a sum that is no module")
            if not subject.canonizer and any(isinstance(part, nn.BatchNorm2d) for part in subject.twin.modules()):
                return row(peer, None, "the peer has no rule for this network's batch norms")
            ours, theirs = _lrp(subject, x, target)
        else:
            against = AGAINST[method]
            peer = against.peer
            module = subject.twin
            made = pellucid.explain(
                subject.module, x, method=against.text.format(layer=subject.layer), target=f"class:{target}"
            )
            ours = made.values
            try:
                found = against.run(module, x, target, subject.layer)
            except RuntimeError:
                return row(peer, None, "the peer refuses networks that call a ReLU module twice")
            theirs = torch.as_tensor(found).detach().numpy()
    except PellucidError as error:
        return row(AGAINST[method].peer if method in AGAINST else "", None, f"refused: {error}")
    if method.startswith("eigen"):
        theirs = theirs * np.sign(np.sum(ours * theirs))
    return row(peer, _difference(ours, theirs))


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    ours, theirs = np.squeeze(np.asarray(ours)), np.squeeze(np.asarray(theirs))
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-300))


def rows_of(networks: list[str], methods: list[str]) -> list[Row]:
    """All rows; a method whose comparison is in its own test has one, without a number."""
    rows = []
    for name in networks:
        subject = NETWORKS[name]()
        for method in methods:
            if method not in SAMPLED:
                rows.append(compared(method, name, subject))
                print(f"{rows[-1].row}: {rows[-1].difference}", file=sys.stderr)
    rows += [
        Row(row=method, network="", method=method, reference=SAMPLED[method], difference=None, limit=LIMIT,
            explained=f"in tests/methods/test_{_test(method)}.py")
        for method in methods
        if method in SAMPLED
    ]  # fmt: skip
    return rows


def _test(method: str) -> str:
    return "regions" if method.endswith("-region") else method.replace("-", "_")


def fails(row: Row) -> bool:
    """Whether a difference is too large and nothing explains it."""
    return row.difference is not None and not row.difference <= row.limit and not row.explained


def table(rows: list[Row]) -> str:
    """Markdown: methods down, networks across; then what is explained, then what has no number."""
    networks = list(dict.fromkeys(row.network for row in rows if row.network))
    lines = ["| method | compared with | " + " | ".join(networks) + " |", "|---|---|" + "---|" * len(networks)]
    said: dict[str, int] = {}
    for method in dict.fromkeys(row.method for row in rows if row.network):
        cells = []
        mine = {row.network: row for row in rows if row.method == method}
        for name in networks:
            row = mine[name]
            cell = "–" if row.difference is None else f"{row.difference:.0e}"
            needed = row.explained and (row.difference is None or row.difference > row.limit)
            cells.append(f"{cell} [{said.setdefault(row.explained, len(said) + 1)}]" if needed else cell)
        lines.append(f"| `{method}` | {mine[networks[0]].reference} | " + " | ".join(cells) + " |")
    lines += ["", *(f"[{number}] {text}.".replace("..", ".") + "\n" for text, number in said.items())]
    lines += ["| method | compared with | where |", "|---|---|---|"]
    lines += [f"| `{row.method}` | {row.reference} | {row.explained} |" for row in rows if not row.network]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Compare, print or write, and fail where something differs that is not explained."""
    parser = argparse.ArgumentParser(description="Every method beside the reference implementation.")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--write", type=Path, help="put the table between the markers of this document")
    options = parser.parse_args()
    missing = [n for n in ("captum", "torchcam", "pytorch_grad_cam", "zennit") if importlib.util.find_spec(n) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; install these peers beside pellucid.")
    torchvision_beside_any_torch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers': about hooks, in-place copies and gradients of leaves
        rows = rows_of(options.networks, options.methods)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    elif options.write is None:
        print(table(rows))
    if options.write is not None:
        begin, end = "<!-- table: benchmarks/conformance.py --write -->\n", "<!-- end -->"
        text = options.write.read_text(encoding="utf-8")
        before, rest = text.split(begin)
        options.write.write_text(
            before + begin + "\n" + table(rows) + "\n" + end + rest.split(end)[1], encoding="utf-8"
        )
    for row in filter(fails, rows):
        print(f"not explained: {row.row} differs by {row.difference:.1e}", file=sys.stderr)
    return int(any(map(fails, rows)))


if __name__ == "__main__":
    sys.exit(main())
