import importlib.util
import json
import subprocess
import sys
from types import ModuleType

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import CapacityError, InputError, SettingError
from pellucid.inputs.image import Image
from pellucid.inputs.reading import read
from pellucid.models.preprocessing import FILTERS, Preprocessing

RNG = np.random.default_rng(0)
PICTURE = read(RNG.integers(0, 256, (60, 90, 3), dtype=np.uint8))


def plain(height: int, width: int) -> Image:
    return read(np.zeros((height, width, 3), np.uint8))


# Values


@pytest.fixture(scope="module")
def reference(shared_data) -> ModuleType:
    """The program that checks the shared models; its way of reading pictures is the one they are right with."""
    place = shared_data / "models"
    sys.path.insert(0, str(place))
    try:
        spec = importlib.util.spec_from_file_location("shared_verify", place / "verify.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(place))
        sys.modules.pop("architectures", None)


@pytest.mark.parametrize("name", ["squeezenet1_0", "mobilenet_v2", "resnet20_cifar10", "resnet56_cifar10"])
def test_the_shared_models_get_exactly_the_numbers_that_their_checker_gives_them(reference, name):
    _, prep, folder = reference.MODELS[name]
    ours = Preprocessing(resize=prep.resize, crop=prep.crop, mean=prep.mean, std=prep.std, source="test")
    files = sorted((reference.IMAGES / folder).glob("*.jpg"))[:10]
    assert len(files) == 10
    for file in files:
        assert torch.equal(torch.from_numpy(ours.prepare(read(file))), reference.read(file, prep))


def test_odd_proportions_are_resized_as_the_checker_does(reference, tmp_path):
    prep = reference.MODELS["squeezenet1_0"][1]
    ours = Preprocessing(resize=prep.resize, crop=prep.crop, mean=prep.mean, std=prep.std)
    for height, width in [(257, 300), (300, 257), (1, 1), (3, 1000), (511, 513), (256, 256), (255, 901)]:
        pixels = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "a.png")
        assert torch.equal(torch.from_numpy(ours.prepare(read(pixels))), reference.read(tmp_path / "a.png", prep))


def test_values_equal_those_of_torchvisions_preset():
    from torchvision.transforms._presets import ImageClassification

    # At this size truncating and rounding the longer side agree.
    theirs = ImageClassification(crop_size=40, resize_size=48, antialias=True)(PICTURE.pil())
    ours = Preprocessing(resize=48, crop=40, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)).prepare(PICTURE)
    assert torch.equal(torch.from_numpy(ours), theirs)


@pytest.mark.parametrize("filter", FILTERS)
def test_every_filter_is_pillows_of_that_name(filter):
    expected = PICTURE.pil().resize((33, 21), PIL.Image.Resampling[filter.upper()])
    assert np.array_equal(Preprocessing(resize=(21, 33), filter=filter).pixels(PICTURE), np.asarray(expected))


def test_the_documentation_names_every_filter_that_pillow_has():
    assert {name.upper() for name in FILTERS} == set(PIL.Image.Resampling.__members__)
    assert all(name in Preprocessing.__doc__ for name in FILTERS)


def test_none_gives_values_from_0_to_1_and_nothing_else():
    values = Preprocessing.none().prepare(PICTURE)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    assert np.array_equal(values, PICTURE.pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255))


@settings(deadline=None, max_examples=50)
@given(
    scale=st.sampled_from([1 / 255, 1.0, 1 / 127.5, 0.017, 2.0]),
    mean=st.tuples(*[st.floats(-150, 150)] * 3),
    std=st.tuples(*[st.floats(0.1, 60)] * 3),
    channels=st.sampled_from(["RGB", "BGR"]),
)
def test_values_follow_the_formula_in_the_models_channel_order(scale, mean, std, channels):
    preprocessing = Preprocessing(scale=scale, mean=mean, std=std, channels=channels)
    ordered = PICTURE.pixels.astype(float)[..., :: -1 if channels == "BGR" else 1]
    expected = ((ordered * scale - np.array(mean)) / np.array(std)).transpose(2, 0, 1)
    assert np.allclose(preprocessing.prepare(PICTURE), expected, rtol=1e-5, atol=1e-4 * max(1, np.abs(expected).max()))


def test_the_pixels_for_showing_are_rgb_also_for_a_bgr_model():
    assert np.array_equal(Preprocessing(channels="BGR").pixels(PICTURE), PICTURE.pixels)


def test_preparing_leaves_the_picture_alone():
    before = PICTURE.pixels.copy()
    Preprocessing(resize=30, crop=20).prepare(PICTURE)
    Preprocessing.none().prepare(PICTURE)[:] = 0
    assert np.array_equal(PICTURE.pixels, before)


def test_assumed_is_the_usual_one_and_says_that_it_is_assumed():
    assumed = Preprocessing.assumed()
    assert (assumed.resize, assumed.crop, assumed.filter, assumed.source) == (256, 224, "bilinear", "assumed")
    assert assumed.describe() == (
        "shorter side to 256 (bilinear), centre crop 224×224, RGB, ÷ 255, mean (0.485, 0.456, 0.406), "
        "std (0.229, 0.224, 0.225) (assumed)"
    )
    assert Preprocessing.none().describe() == "RGB, ÷ 255 (none)"
    assert (
        Preprocessing(scale=1, resize=(2, 3)).describe() == "resize to 3×2 (bilinear), RGB, values as they are (flags)"
    )


# Steps


def test_each_step_shows_what_it_did():
    preprocessing = Preprocessing(resize=30, crop=20, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
    steps = preprocessing.steps(PICTURE)
    assert [step.name for step in steps] == ["original", "resized", "cropped", "normalised"]
    assert [step.text for step in steps[:3]] == [
        "90×60",
        "shorter side to 30 (bilinear): 45×30",
        "centre crop 20×20, from x = 12, y = 5",
    ]
    assert [step.pixels.shape for step in steps] == [(60, 90, 3), (30, 45, 3), (20, 20, 3), (20, 20, 3)]
    assert np.array_equal(steps[1].pixels[5:25, 12:32], steps[2].pixels)
    assert np.array_equal(steps[2].pixels, preprocessing.pixels(PICTURE))
    assert all((step.low, step.high) == (0, 255) for step in steps[:3])


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_the_last_steps_greys_give_the_models_values_back(channels):
    preprocessing = Preprocessing(crop=20, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.2), channels=channels)
    step = preprocessing.steps(PICTURE)[-1]
    values = preprocessing.prepare(PICTURE)
    assert (step.low, step.high) == (values.min(), values.max())
    shown = step.pixels.transpose(2, 0, 1)[:: -1 if channels == "BGR" else 1]
    assert np.abs(step.low + shown / 255 * (step.high - step.low) - values).max() <= (step.high - step.low) / 510 + 1e-5
    assert channels in step.text


def test_steps_that_do_nothing_are_left_out_and_one_shade_is_drawn_grey():
    steps = Preprocessing.none().steps(plain(2, 3))
    assert [step.name for step in steps] == ["original", "scaled"]
    assert (steps[1].low, steps[1].high) == (0, 0)
    assert np.array_equal(steps[1].pixels, np.full((2, 3, 3), 127, np.uint8))


# Refusals


def test_a_picture_smaller_than_the_crop_is_refused_with_both_sizes_and_the_way_out():
    with pytest.raises(InputError) as caught:
        Preprocessing(crop=100).prepare(PICTURE)
    assert str(caught.value) == (
        "'array' is 90×60 pixels (width×height), smaller than the crop of 100×100; "
        "resize it to 100 or more, or use crop=None."
    )
    with pytest.raises(
        InputError, match=r"is 45×30 pixels after resizing \(width×height\), smaller than the crop of 46×30"
    ):
        Preprocessing(resize=30, crop=(30, 46)).prepare(PICTURE)


def test_a_very_long_picture_is_refused_before_it_fills_the_memory():
    with pytest.raises(
        CapacityError, match=r"20000×1 pixels would become 5120000×256 with resize=256, the limit is 100"
    ):
        Preprocessing.assumed().prepare(plain(1, 20_000))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"resize": 0}, "resize is 0, expected a whole number, 1 or more"),
        ({"resize": 2.5}, "resize is 2.5, expected a whole number, 1 or more"),
        ({"resize": True}, "resize is True, expected"),
        ({"resize": (1, 2, 3)}, "resize is (1, 2, 3), expected two whole numbers (height, width), 1 or more"),
        ({"crop": (0, 5)}, "crop is (0, 5), expected two whole numbers (height, width), 1 or more"),
        ({"crop": "224"}, "crop is '224', expected"),
        ({"resize": 224, "crop": 256}, "crop is 256, expected at most what resizing leaves, resize=224"),
        ({"resize": (300, 200), "crop": 224}, "crop is 224, expected at most what resizing leaves, resize=(300, 200)"),
        ({"filter": "bilinaer"}, "did you mean 'bilinear'."),
        (
            {"filter": "x"},
            "filter is 'x', expected one of nearest, box, bilinear, hamming, bicubic, lanczos, mks2013, mks2021.",
        ),
        ({"channels": "rgb"}, "channels is 'rgb', expected 'RGB' or 'BGR'"),
        ({"scale": 0}, "scale is 0, expected a number over 0"),
        ({"scale": float("nan")}, "scale is nan, expected a number over 0"),
        ({"mean": (1, 2)}, "mean is (1, 2), expected three finite numbers"),
        ({"mean": 0.5}, "mean is 0.5, expected three finite numbers"),
        ({"mean": (0, 0, float("inf"))}, "mean is (0, 0, inf), expected three finite numbers"),
        ({"std": (1, 0, 1)}, "std is (1.0, 0.0, 1.0), expected three numbers over 0"),
        ({"source": None}, "source is None, expected a phrase"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings_, message):
    with pytest.raises(SettingError) as caught:
        Preprocessing(**settings_)
    assert message in str(caught.value)


def test_a_long_crop_of_a_long_picture_is_allowed():
    assert Preprocessing(resize=30, crop=(30, 45)).prepare(PICTURE).shape == (3, 30, 45)


# Records


@settings(deadline=None)
@given(
    resize=st.sampled_from([None, 300, (310, 320)]),
    crop=st.sampled_from([None, 224, (200, 210)]),
    channels=st.sampled_from(["RGB", "BGR"]),
    scale=st.floats(1e-3, 2),
)
def test_a_record_gives_the_same_settings_back(resize, crop, channels, scale):
    preprocessing = Preprocessing(resize=resize, crop=crop, channels=channels, scale=scale, source="flags")
    assert Preprocessing.from_record(json.loads(json.dumps(preprocessing.to_record()))) == preprocessing


def test_a_record_with_other_fields_is_refused():
    record = Preprocessing.none().to_record()
    with pytest.raises(SettingError, match=r"preprocessing is 'means', expected the fields .*; did you mean 'mean'\."):
        Preprocessing.from_record({**record, "means": [0, 0, 0]})
    record.pop("std")
    with pytest.raises(SettingError, match="preprocessing is 'without std', expected the fields"):
        Preprocessing.from_record(record)


def test_reading_and_preparing_pictures_needs_no_torch():
    program = "import sys, pellucid.inputs.reading, pellucid.models.preprocessing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
