from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from tests.methods.nets import Net, given_of, image, model, pictures, seeded
from torch import nn

import pellucid
from pellucid.errors import SettingError
from pellucid.methods.baselines import baseline_of
from pellucid.methods.integrated import IntegratedGradients
from pellucid.models.preprocessing import Preprocessing

IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), source="test")


def gaussian(plane: np.ndarray, sigma: float) -> np.ndarray:
    """The same blur as a double sum over repeated borders."""
    radius = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(plane, radius, mode="edge")
    rows = np.stack([np.convolve(row, kernel, mode="valid") for row in padded])
    return np.stack([np.convolve(column, kernel, mode="valid") for column in rows.T]).T


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0, 11.0])
def test_the_blurred_baseline_is_a_gaussian_with_repeated_borders(sigma: float) -> None:
    x = pictures(2, shape=(3, 9, 14)).double()
    blurred = baseline_of(given_of(x), f"blur:{sigma}").numpy()
    expected = np.stack([[gaussian(plane, sigma) for plane in item] for item in x.numpy()])
    assert np.allclose(blurred, expected, atol=1e-10)


def test_the_blurred_baseline_equals_scipy() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    x = pictures(1, shape=(2, 21, 17)).double()
    theirs = np.stack([ndimage.gaussian_filter(plane, 1.7, mode="nearest") for plane in x[0].numpy()])
    assert np.allclose(baseline_of(given_of(x), "blur:1.7")[0].numpy(), theirs, atol=1e-10)


def test_the_mean_baseline_is_each_channels_mean() -> None:
    x = pictures(2)
    assert torch.allclose(baseline_of(given_of(x), "mean"), x.mean((2, 3), keepdim=True).expand_as(x))
    assert not baseline_of(given_of(x), "zero").any()


@pytest.mark.parametrize(
    ("x", "baseline", "message"),
    [
        (torch.rand(1, 4), "mean", "baseline is 'mean', expected zero or noise for an input of plain numbers."),
        (torch.rand(1, 4), "blur:2", "baseline is 'blur:2', expected zero or noise for an input of plain numbers."),
        (
            torch.rand(1, 4, 5),
            "blur:2",
            "baseline is 'blur:2', expected zero, mean or noise for an input that is no picture.",
        ),
    ],
)
def test_a_baseline_that_an_input_cannot_have_is_refused(x: torch.Tensor, baseline: str, message: str) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 2))
    with pytest.raises(SettingError) as caught:
        pellucid.explain(module, x, method=IntegratedGradients(baseline=baseline))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "baseline",
    ["grey", "no/such/picture.png", "", "blur", "blur:", "blur:x", "blur:-1", "blur:nan", "blur:1000", "Zero"],
)
def test_an_unknown_baseline_is_refused(baseline: str) -> None:
    with pytest.raises(SettingError, match=r"^baseline is "):
        IntegratedGradients(baseline=baseline)


@pytest.mark.parametrize(("name", "level"), [("black", 0), ("white", 255)])
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_black_and_white_are_such_pictures_as_the_model_prepares_them(name: str, level: int, channels: str) -> None:
    preparing = Preprocessing(
        channels=channels,
        mean=(0.1, 0.2, 0.3),
        std=(0.5, 0.6, 0.7),
        source="test",  # type: ignore[arg-type]
    )
    picture = pellucid.read(np.full((9, 14, 3), level, dtype=np.uint8))
    expected = preparing.prepare(picture)
    x = torch.from_numpy(np.stack([preparing.prepare(image(9, 14, seed)) for seed in (0, 1)]))
    made = baseline_of(given_of(x, preparing=preparing), name).numpy()
    assert np.array_equal(made, np.stack([expected, expected]))


@pytest.mark.parametrize("name", ["black", "white"])
def test_a_tensor_of_which_nobody_knows_how_it_was_prepared_has_no_black_and_no_white(name: str) -> None:
    with pytest.raises(SettingError) as caught:
        pellucid.explain(seeded(Net), pictures(), method=f"integrated-gradients(baseline={name})")
    assert str(caught.value) == (
        f"baseline is '{name}', expected zero, mean, noise or blur:SIGMA for a tensor; nobody knows how it was "
        "prepared; give a picture, or a model with its preprocessing."
    )


def test_a_picture_and_a_tensor_for_a_model_with_its_preprocessing_have_black() -> None:
    known = model(seeded(Net), mean=(0.5, 0.5, 0.5))
    method = "integrated-gradients(steps=3, baseline=black)"
    made = pellucid.explain(known, image(), method=method, target="class:0")
    with torch.no_grad():
        nothing = known.module(torch.full((1, 3, 12, 12), -0.5))[0, 0]
    total = float(made.values.sum(dtype=np.float64)) - made.checks["completeness gap"]
    assert total == pytest.approx(made.score - float(nothing), abs=1e-5)
    prepared = torch.from_numpy(known.preprocessing.prepare(image()))[None]
    assert np.array_equal(pellucid.explain(known, prepared, method=method, target="class:0").values, made.values)
    # What a bare module is assumed to be trained on is good enough for a picture that was prepared that way.
    assert pellucid.explain(seeded(Net), image(300, 300), method=method, target="class:0").values.any()


def test_black_is_refused_where_there_are_no_three_colours() -> None:
    with pytest.raises(SettingError, match="expected zero or noise for an input that is no colour picture"):
        baseline_of(given_of(pictures(shape=(1, 5, 5)), preparing=IMAGENET), "black")


def test_noise_is_uniform_over_each_items_range_and_the_same_for_all_items() -> None:
    x = pictures(3, shape=(3, 40, 40)) * torch.tensor([1.0, 100.0, 0.01])[:, None, None, None]
    made = baseline_of(given_of(x, seed=5), "noise")
    low, high = x.flatten(1).amin(1), x.flatten(1).amax(1)
    share = (made - low[:, None, None, None]) / (high - low)[:, None, None, None]
    assert torch.allclose(share[0], share[1], atol=1e-5)
    assert torch.allclose(share[0], share[2], atol=1e-5)
    assert 0 <= float(share.min()) < 0.01
    assert 0.99 < float(share.max()) <= 1 + 1e-6
    assert float(share.mean()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(made[1:2], baseline_of(given_of(x[1:2], seed=5), "noise"))
    assert not torch.equal(made, baseline_of(given_of(x, seed=6), "noise"))


def test_a_picture_of_ones_own_is_prepared_as_the_model_prepares(tmp_path: Path) -> None:
    path = tmp_path / "my picture.png"
    PIL.Image.fromarray(image(20, 30, seed=3).pixels).save(path)
    preparing = Preprocessing(resize=16, crop=12, mean=IMAGENET.mean, std=IMAGENET.std, source="test")
    x = torch.from_numpy(preparing.prepare(image(50, 40)))[None]
    made = baseline_of(given_of(x, preparing=preparing), str(path))
    assert np.array_equal(made[0].numpy(), preparing.prepare(pellucid.read(path)))
    known = model(seeded(Net), resize=16, crop=12)
    why = pellucid.explain(known, image(50, 40), method=f"integrated-gradients(steps=20, baseline='{path}')")
    assert why.checks["relative gap"] < 0.1
    assert why.settings["baseline"] == str(path)


def test_a_picture_of_ones_own_that_has_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    PIL.Image.fromarray(image(5, 6).pixels).save(path)
    with pytest.raises(SettingError) as caught:
        pellucid.explain(model(seeded(Net)), image(), method=IntegratedGradients(baseline=str(path)))
    assert str(caught.value) == (
        "baseline is 'small.png', expected a picture that is 12×12 (height×width) after preprocessing, as the "
        "explained one is; it is 5×6."
    )
