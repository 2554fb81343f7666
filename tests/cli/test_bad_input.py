"""Whatever is wrong: one clear line, the exit code as designed, nothing half written."""

import os
from pathlib import Path

import PIL.Image
import pytest
import torch
from tests.cli.conftest import Cli, Ended, of_net


def one_line(ended: Ended, code: int) -> str:
    assert ended.code == code, ended.err
    assert ended.out == ""
    assert len(ended.errors) == 1, ended.err
    assert "Traceback" not in ended.err
    return ended.errors[0].removeprefix("error: ")


@pytest.mark.parametrize("command", ["explain", "maps", "trace"])
def test_a_picture_that_does_not_exist_is_named(cli: Cli, place: Path, command: str) -> None:
    assert one_line(cli(command, *of_net(), "cta.png"), 1) == "'cta.png' does not exist; did you mean 'cat.png'?"


def test_a_folder_is_no_picture(cli: Cli) -> None:
    assert "is a folder, expected a picture" in one_line(cli("trace", *of_net(), "."), 1)


def test_text_named_png_is_no_picture(cli: Cli, place: Path) -> None:
    (place / "text.png").write_text("no picture at all")
    assert "'text.png' holds text, expected one of PNG" in one_line(cli("trace", *of_net(), "text.png"), 1)


def test_half_a_jpeg_is_damaged(cli: Cli, place: Path) -> None:
    with PIL.Image.open("cat.png") as picture:
        picture.save("cat.jpg")
    content = Path("cat.jpg").read_bytes()
    Path("cat.jpg").write_bytes(content[: len(content) // 2])
    assert "'cat.jpg' is damaged" in one_line(cli("explain", *of_net(), "cat.jpg", "--png", "x.png"), 1)
    assert not (place / "x.png").exists()


def test_a_decompression_bomb_is_refused_by_its_size(cli: Cli, shared_data: Path) -> None:
    bomb = shared_data / "images" / "misc" / "bomb_60000x60000.png"
    assert "3,600 megapixels, the limit is 50" in one_line(cli("trace", *of_net(), str(bomb)), 1)


def test_a_picture_that_gets_too_small_names_the_site_and_the_least_size(cli: Cli, place: Path) -> None:
    PIL.Image.new("RGB", (1, 1)).save("dot.png")
    ended = cli("trace", "net.py:build", "--trust", "dot.png", "--resize", "none", "--crop", "none")
    # conv 3, conv 3, pool 2, conv 3: 3 → 6 or 7 → 8 → 10.
    assert one_line(ended, 1) == (
        "a picture of 1×1 is too small for site 'features.0'; the least square picture that works is 10×10."
    )


def test_nan_in_the_weights_names_site_and_weight(cli: Cli, place: Path) -> None:
    message = one_line(cli("explain", *of_net("with_nan"), "cat.png", "-o", "x.html"), 1)
    assert "at site 'features.0': its weight 'features.0.weight' is not finite" in message
    assert not (place / "x.html").exists()


def test_a_model_that_returns_a_dict_is_told_what_to_do(cli: Cli) -> None:
    message = one_line(cli("explain", *of_net("Answering"), "cat.png", "--save", "x"), 1)
    assert "returned a dict with the keys 'out'" in message


def test_a_wrong_count_of_channels_is_told(cli: Cli) -> None:
    message = one_line(cli("explain", *of_net("Grey"), "cat.png", "--save", "x"), 1)
    assert "has 3 channels and the model's first convolution takes 1" in message


def test_code_is_refused_without_trust(cli: Cli) -> None:
    assert "--trust" in one_line(cli("trace", "net.py:build", "cat.png"), 4)


def test_an_unknown_model_is_told_the_nearest(cli: Cli) -> None:
    assert one_line(cli("trace", "animal", "cat.png"), 2).startswith("no model 'animal'; did you mean 'animals'?")


def test_an_unexpected_error_of_a_model_is_one_line_without_its_colours(cli: Cli) -> None:
    message = one_line(cli("explain", *of_net("Broken"), "cat.png", "--save", "x"), 1)
    assert "ZeroDivisionError: red and a second line" in message


def test_debug_shows_the_traceback(cli: Cli) -> None:
    ended = cli("explain", *of_net("Broken"), "cat.png", "--save", "x", "--debug")
    assert ended.code == 1
    assert "Traceback (most recent call last)" in ended.err


def test_an_interrupt_ends_with_130(cli: Cli) -> None:
    ended = cli("trace", *of_net("Interrupted"), "cat.png", "-q")
    assert (ended.code, ended.err) == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--resize", "big"), "--resize is 'big', expected a side as 256, height x width as 256x256, or none."),
        (("--crop", "2x"), "--crop is '2x', expected a side"),
        (("--mean", "1,2"), "--mean is '1,2', expected three numbers with commas between"),
        (("--std", "0,1,1"), "--std is (0.0, 1.0, 1.0), expected three numbers over 0"),
        (("--resize", "0x20"), "--resize is '0x20', expected a side as 256, height x width as 256x256, or none."),
        (
            ("--crop", "300"),
            "--crop is 300, expected at most what resizing leaves, --resize 32; a larger resize or --crop none helps.",
        ),
        (("--resize", "20x40", "--crop", "30"), "expected at most what resizing leaves, --resize 20x40; a larger"),
        (("--num-classes", "3"), "--num-classes is 3, expected nothing: 'net.py:build' has its own number of outputs."),
        (("--architecture", "xai"), "--architecture is 'xai', expected nothing: it makes sense only with a weights"),
        (("--filter", "bilinaer"), "did you mean 'bilinear'"),
        (("--value-scale", "1/0"), "--value-scale is '1/0', expected a number"),
        (("--channels-order", "GBR"), "--channels-order is 'GBR', expected 'RGB' or 'BGR'"),
        (("--device", "cuda:99"), "--device is 'cuda:99', expected one that is here"),
        (("--limit", "0"), "--limit is 0.0, expected gigabytes, more than 0"),
        (
            ("--keep", "all"),
            "Invalid value for '--keep': 'all' is not one of 'statistics', 'full', 'values' (see pellucid trace",
        ),
        (("--site", "kind:cnov"), "no site of kind 'cnov'; did you mean 'conv'?"),
    ],
)
def test_an_option_that_makes_no_sense_ends_with_2(cli: Cli, option: tuple[str, ...], message: str) -> None:
    found = one_line(cli("trace", *of_net(), "cat.png", *option), 2)
    assert found.startswith(message) or (not message.startswith("-") and message in found)


def test_a_trace_over_its_limit_says_the_options_that_help(cli: Cli) -> None:
    message = one_line(cli("trace", *of_net(), "cat.png", "--keep", "values", "--limit", "0.00001"), 1)
    assert message.endswith(
        "more than the limit of 10.0 kB; choose sites (--site kind:conv), use --keep statistics, or raise --limit."
    )


def test_a_picture_below_the_crop_is_told_the_options_that_help(cli: Cli) -> None:
    message = one_line(cli("trace", "net.py:build", "--trust", "cat.png", "--resize", "none", "--crop", "64"), 1)
    assert message == (
        "'cat.png' is 48×40 pixels (width×height), smaller than the crop of 64×64; resize it to 64 or more, or use "
        "--crop none."
    )


def test_a_picture_that_would_grow_too_far_is_told_the_options_that_help(cli: Cli) -> None:
    message = one_line(cli("trace", "net.py:build", "--trust", "cat.png", "--resize", "20000", "--crop", "none"), 1)
    assert "would become 24000×20000 with --resize 20000, the limit is 100 megapixels; use --resize" in message
    assert message.endswith("--resize HEIGHTxWIDTH.")


def test_of_several_pictures_each_is_told_in_options(cli: Cli) -> None:
    sizes = ("--resize", "none", "--crop", "64")
    ended = cli("explain", "net.py:build", "--trust", "cat.png", "cat.png", *sizes, "--json")
    assert ended.code == 1
    assert [error.endswith("or use --crop none.") for error in ended.errors] == [True, True]
    assert "crop=None" not in ended.out


def test_a_grid_with_too_few_places_is_told_in_options(cli: Cli) -> None:
    words = ("--channels", "all", "--rows", "2", "--columns", "2")
    assert one_line(cli("maps", *of_net(), "cat.png", *words), 2) == (
        "--rows, --columns is (2, 2), expected places for 40 maps; --rows 20 with --columns 2 shows them all, or "
        "select fewer channels."
    )
    found = one_line(cli("maps", *of_net(), "cat.png", "--channels", "99"), 2)
    assert found.startswith("--channels is '99', expected numbers from 0 to 39")


def test_a_weights_file_without_its_architecture_is_told_the_option(cli: Cli, place: Path) -> None:
    torch.save({"w": torch.zeros(2)}, place / "w.pt")
    assert one_line(cli("trace", "w.pt", "cat.png"), 1).endswith(
        "give --architecture: 'torchvision/NAME', 'timm/NAME', 'xai' or 'net.py:build'."
    )


def test_a_method_that_wants_one_site_names_no_function(cli: Cli) -> None:
    message = one_line(cli("explain", *of_net(), "cat.png", "--json", "--method", "grad-cam(site=kind:conv)"), 2)
    assert message.endswith("one is wanted here, e.g. last:conv.")


def test_what_looks_like_a_setting_in_a_name_stays(cli: Cli) -> None:
    assert one_line(cli("trace", *of_net(), "crop=1.png"), 1).startswith("'crop=1.png' does not exist")


@pytest.mark.parametrize(("keep", "said"), [("statistics", "1 site; no values are kept"), ("values", "of 1 site: ")])
def test_one_site_is_no_plural(cli: Cli, keep: str, said: str) -> None:
    ended = cli("trace", *of_net("one_site"), "cat.png", "--keep", keep)
    assert ended.code == 0
    assert said in ended.err
    assert "\n1 site, " in ended.err
    assert "1 sites" not in ended.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Whole", "the model returned an int, expected one tensor of logits"),
        ("Complex", "the model returned complex numbers (complex64), expected real logits (pictures × classes)"),
    ],
)
def test_an_answer_that_is_no_table_of_numbers_is_told(cli: Cli, name: str, message: str) -> None:
    assert one_line(cli("explain", *of_net(name), "cat.png", "--json"), 1).startswith(message)


class TestPlaces:
    """Where results go is refused before a model is loaded: the model here does not exist."""

    def test_a_missing_folder_is_told_how_to_make(self, cli: Cli) -> None:
        message = one_line(cli("explain", "none.py:x", "cat.png", "-o", "no/page.html"), 2)
        assert message == (
            "--output is 'no/page.html', expected a file in a folder that exists; make the folder first: mkdir -p 'no'."
        )

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_without_permission_is_refused(self, cli: Cli, place: Path) -> None:
        (place / "locked").mkdir(mode=0o500)
        assert "permission denied" in one_line(cli("maps", "none.py:x", "cat.png", "-o", "locked/a.png"), 1)

    def test_a_place_that_no_file_can_be_written_to_is_refused(self, cli: Cli) -> None:
        if not Path("/proc/self").exists():
            pytest.skip("no folder here that refuses even root")
        assert "cannot be written" in one_line(cli("maps", "none.py:x", "cat.png", "-o", "/proc/self/a.png"), 1)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_what_is_no_regular_file_is_never_replaced_by_one(self, cli: Cli, place: Path) -> None:
        # A pipe of our own stands for /dev/null and its like: a test that fails must not cost the machine a device.
        for name, words in (("a.png", ("maps", "-o", "a.png")), ("b.safetensors", ("trace", "--save", "b.json"))):
            os.mkfifo(place / name)
            assert "a device or a pipe" in one_line(cli(words[0], "none.py:x", "cat.png", *words[1:]), 2)
            assert (place / name).is_fifo()

    def test_a_file_as_folder_is_refused(self, cli: Cli) -> None:
        assert "'cat.png' is a file" in one_line(cli("trace", "none.py:x", "cat.png", "--save", "cat.png/x"), 2)

    def test_another_kind_of_file_for_maps_is_refused(self, cli: Cli) -> None:
        assert "ends in .png (picture) or .npz" in one_line(cli("maps", "none.py:x", "cat.png", "-o", "a.gif"), 2)

    def test_one_file_for_several_pictures_is_refused(self, cli: Cli) -> None:
        message = one_line(cli("explain", "none.py:x", "cat.png", "cat.png", "-o", "a.html"), 2)
        assert "a folder that exists, for the results of 2 pictures" in message

    def test_a_name_that_is_too_long_is_refused(self, cli: Cli) -> None:
        assert "cannot be written" in one_line(cli("demo", "-o", "x" * 300), 1)
