"""What each method that draws nothing is compared with: a peer's answer, and the same with the peer's defect mended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from conformance_networks import Subject, in_batches
from conformance_relevance import (
    clipped_guidance,
    deeplift_by_formula,
    excitation,
    full_gradient,
    lrp_after_merging,
    lrp_with_canonizer,
)
from torch import Tensor, nn

Answer = Callable[[Subject], Tensor | np.ndarray]
RELU6 = (
    "the peer changes the derivative of nn.ReLU alone. With f(x) = min(max(x, 0), 6) in its place, {rule}, it answers "
    "the same"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What a method is compared with.

    Attributes:
        text: Our method in text form; {layer} is the layer.
        peer: What it is compared with.
        run: Its answer.
        mended: Its answer where its defect, or what it leaves out, is mended by the formula in `because`.
        because: Why it differs; counts only where the mended answer is ours.
        positive: Whether the comparison needs an input without negative values.
        undefined: Whether networks without the head that the method needs have no answer.
        sign: Whether the answer has a sign only by convention.
    """

    text: str
    peer: str
    run: Answer
    mended: Answer | None = None
    because: str = ""
    positive: bool = False
    undefined: bool = False
    sign: bool = False


def captum_answer(name: str, *, module: Callable[[Subject], nn.Module] | None = None, **settings: Any) -> Answer:
    """An attribution of Captum's for the input."""

    def run(subject: Subject) -> Tensor:
        import captum.attr

        made = getattr(captum.attr, name)(subject.twin if module is None else module(subject))
        x = subject.x.clone().requires_grad_()
        return cast(Tensor, made.attribute(x, target=subject.target, **settings)[0])

    return run


def _captum_at(name: str, *, module: Callable[[Subject], nn.Module] | None = None, **settings: Any) -> Answer:
    def run(subject: Subject) -> Tensor:
        import captum.attr

        used = subject.twin if module is None else module(subject)
        made = getattr(captum.attr, name)(used, used.get_submodule(subject.layer))
        x = subject.x.clone().requires_grad_()
        found = made.attribute(x, target=subject.target, **settings)[0]
        return cast(Tensor, found[0] if name == "LayerGradCam" else found)

    return run


def _summed(run: Answer, axes: tuple[int, ...]) -> Answer:
    return lambda subject: torch.as_tensor(run(subject)).sum(axes)


def _torchcam(name: str) -> Answer:
    def run(subject: Subject) -> Tensor:
        from torchcam import methods

        made = getattr(methods, name)(subject.twin, subject.layer, input_shape=tuple(subject.x.shape[1:]))
        with made as extractor:
            [maps] = extractor(subject.target, subject.twin(subject.x), normalized=False)
        return cast(Tensor, maps[0])

    return run


def _last_maps(subject: Subject) -> tuple[Tensor, Tensor]:
    """What is averaged at the end, and the slope of the logit there."""
    average = next(part for part in reversed(list(subject.twin.modules())) if isinstance(part, nn.AdaptiveAvgPool2d))
    kept: list[Tensor] = []
    handle = average.register_forward_hook(lambda _m, given, _made: kept.append(given[0]))
    score = subject.twin(subject.x)[0, subject.target]
    handle.remove()
    return kept[-1][0].detach(), torch.autograd.grad(score, kept[-1])[0][0]


def _cam_of_means(subject: Subject) -> np.ndarray:
    """pytorch-grad-cam's GradCAM, whose weights are means over positions, where CAM's are those of the class layer."""
    import pytorch_grad_cam as peers

    maps, slopes = (each[None].numpy() for each in _last_maps(subject))
    weights = peers.GradCAM.get_cam_weights(cast(Any, None), None, None, None, maps, slopes)
    return cast(np.ndarray, (weights[0][:, None, None] * maps[0]).sum(0) * maps[0][0].size)


def _slopes(subject: Subject) -> tuple[Tensor, Tensor]:
    """What the layer returns, and the slope of the logit there, by hooks."""
    kept: list[Tensor] = []
    handle = subject.twin.get_submodule(subject.layer).register_forward_hook(lambda _m, _g, made: kept.append(made))
    score = subject.twin(subject.x)[0, subject.target]
    handle.remove()
    return kept[-1][0].detach(), torch.autograd.grad(score, kept[-1])[0][0]


def _plus_plus(subject: Subject) -> Tensor:
    """Equations 5 and 19 with g² written out of the fraction: no ε that a small slope could be compared with."""
    maps, slopes = _slopes(subject)
    weights = (slopes.clamp(min=0) / (2 + maps.sum((1, 2), keepdim=True) * slopes)).nan_to_num().sum((1, 2))
    return (weights[:, None, None] * maps).sum(0).clamp(min=0)


def _first_component(given: Tensor) -> Tensor:
    """Positions along the first right singular vector, not centred."""
    rows = given.flatten(1).T.double().numpy()
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return torch.from_numpy(rows @ vectors[:, -1]).reshape(given.shape[1:])


def _without_channels(subject: Subject) -> Tensor:
    """By how much the logit falls without each channel: one pass with a hook for 16 of them."""
    maps, _ = _slopes(subject)
    channels = torch.arange(len(maps))
    chosen = channels[:0]

    def change(_module: nn.Module, _given: Any, made: Tensor) -> Tensor:
        changed = made.clone()
        changed[torch.arange(len(chosen)), chosen] = 0
        return changed

    handle = subject.twin.get_submodule(subject.layer).register_forward_hook(change)
    falls = []
    with torch.no_grad():
        whole = subject.twin(subject.x)[0, subject.target]
        for chosen in in_batches(channels, 16):  # the hook reads it
            made = subject.twin(subject.x.expand(len(chosen), -1, -1, -1))[:, subject.target]
            falls.append(whole - made)
    handle.remove()
    return torch.cat(falls)


def _ablation_cam(subject: Subject) -> Tensor:
    """Equations 3 and 4: max(Σ (y − y_k) / y · A_k, 0)."""
    maps, _ = _slopes(subject)
    with torch.no_grad():
        score = subject.twin(subject.x)[0, subject.target]
    weighed: Tensor = (_without_channels(subject) / score)[:, None, None] * maps
    return weighed.sum(0).clamp(min=0)


def _grid(subject: Subject) -> Tensor:
    rows = torch.arange(subject.x.shape[-1]) * 4 // subject.x.shape[-1]
    return (rows[:, None] * 4 + rows[None, :])[None, None]


def _feature_ablation(subject: Subject) -> Tensor:
    import captum.attr

    peer = captum.attr.FeatureAblation(subject.twin)
    return cast(Tensor, peer.attribute(subject.x, target=subject.target, feature_mask=_grid(subject))[0, 0])


_OCCLUSION = captum_answer("Occlusion", sliding_window_shapes=(3, 16, 16), strides=(3, 16, 16))
_GUIDED, _DECONV = clipped_guidance(forward=True), clipped_guidance(forward=False)

AGAINST: dict[str, Against] = {
    "saliency": Against(text="saliency", peer="captum Saliency, signed", run=captum_answer("Saliency", abs=False)),
    "input-x-gradient": Against(
        text="input-x-gradient", peer="captum InputXGradient", run=captum_answer("InputXGradient")
    ),
    "integrated-gradients": Against(
        text="integrated-gradients(steps=20)",
        peer="captum IntegratedGradients, gausslegendre",
        run=captum_answer("IntegratedGradients", n_steps=20, method="gausslegendre"),
    ),
    "guided-backpropagation": Against(
        text="guided-backpropagation",
        peer="captum GuidedBackprop",
        run=captum_answer("GuidedBackprop"),
        mended=captum_answer("Saliency", module=_GUIDED, abs=False),
        because=RELU6.format(rule="R(x) = 1[0 < x < 6] · max(R(f), 0)"),
    ),
    "deconvnet": Against(
        text="deconvnet",
        peer="captum Deconvolution",
        run=captum_answer("Deconvolution"),
        mended=captum_answer("Saliency", module=_DECONV, abs=False),
        because=RELU6.format(rule="R(x) = max(R(f), 0)"),
    ),
    "guided-grad-cam": Against(
        text="guided-grad-cam(site={layer})",
        peer="captum GuidedGradCam, bilinear",
        run=_captum_at("GuidedGradCam", interpolate_mode="bilinear"),
        mended=lambda subject: _guided_by_formula(subject),
        because=RELU6.format(rule="R(x) = 1[0 < x < 6] · max(R(f), 0)"),
    ),
    "deeplift": Against(
        text="deeplift",
        peer="captum DeepLift",
        run=captum_answer("DeepLift"),
        mended=deeplift_by_formula,
        because=(
            "the peer leaves the slope of nn.ReLU6 as it is, and has another rule for maxima. With m = Δf / Δx for "
            "every activation, and the whole Δ of a maximum at the place of its larger side, added up over windows, "
            "the same"
        ),
    ),
    "lrp": Against(
        text="lrp(composite=epsilon-plus-flat, epsilon=1e-6)",
        peer="zennit EpsilonPlusFlat, SequentialMergeBatchNorm",
        run=lrp_with_canonizer,
        mended=lrp_after_merging,
        because=(
            "the peer's merged layer is w γ / √(σ² + ε) divided by √(1 + ε) once more, and it merges none that stands "
            "behind a dropout. Given a network whose batch norms torch has merged, it answers the same"
        ),
    ),
    "excitation-backprop": Against(
        text="excitation-backprop",
        peer="zennit ExcitationBackprop, no biases, batch norms merged",
        run=lambda subject: excitation(subject, clamped=False),
        mended=lambda subject: excitation(subject, clamped=True),
        because=(
            "the peer shares a sum by a / (a + b) also where one term is negative, and lets negative inputs pass "
            "through negative weights, and nn.ReLU6 takes all where it is cut off. With "
            "P(j) = Σ P(i) · max(x_j, 0) w⁺ / Σ max(x, 0) w⁺ (equation 3) for sums and layers, and P unchanged by "
            "activations, the same"
        ),
        positive=True,
    ),
    "fullgrad": Against(
        text="fullgrad", peer="Σ x · ∂y/∂x + Σ b · ∂y/∂b by automatic differentiation", run=full_gradient
    ),
    "occlusion": Against(
        text="occlusion(window=16, stride=16)",
        peer="captum Occlusion",
        run=lambda subject: _OCCLUSION(subject)[0],
    ),
    "feature-ablation": Against(
        text="feature-ablation(segments=grid:4)", peer="captum FeatureAblation", run=_feature_ablation
    ),
    "grad-cam": Against(
        text="grad-cam(site={layer})",
        peer="captum LayerGradCam",
        run=_captum_at("LayerGradCam", relu_attributions=True),
    ),
    "cam": Against(
        text="cam",
        peer="pytorch-grad-cam GradCAM weights on the last maps, × positions",
        run=_cam_of_means,
        undefined=True,
    ),
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
        run=lambda subject: _first_component(_slopes(subject)[0]),
        sign=True,
    ),
    "eigen-grad-cam": Against(
        text="eigen-grad-cam(site={layer}, sign=both)",
        peer="eigenvectors for slopes × maps, up to the sign",
        run=lambda subject: _first_component(torch.mul(*_slopes(subject))),
        sign=True,
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


def _guided_by_formula(subject: Subject) -> Tensor:
    """Guided backpropagation with clipped activations too, times Grad-CAM enlarged bilinearly."""
    guided = torch.as_tensor(AGAINST["guided-backpropagation"].mended(subject))  # type: ignore[misc]
    cam = torch.as_tensor(AGAINST["grad-cam"].run(subject))
    large = nn.functional.interpolate(cam[None, None], size=subject.x.shape[2:], mode="bilinear")[0, 0]
    return guided * large
