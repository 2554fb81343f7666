"""`pellucid maps` and `pellucid trace`: the same numbers as the library's."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.cli.conftest import Cli, of_net

import pellucid
from pellucid.capture.trace import Trace
from pellucid.models.preprocessing import Preprocessing


def traced() -> Trace:
    side = Preprocessing(resize=32, crop=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    return pellucid.trace(pellucid.load("net.py:build", trust=True, preprocessing=side), "cat.png")


def test_the_numbers_of_a_site_are_those_of_the_trace(cli: Cli) -> None:
    ended = cli("maps", *of_net(), "cat.png", "--site", "features.2", "--channels", "3,0-1", "-o", "maps.npz")
    assert (ended.code, ended.out) == (0, "maps.npz\n")
    with np.load("maps.npz") as saved:
        assert saved["channels"].tolist() == [3, 0, 1]
        assert np.array_equal(saved["maps"], traced()["features.2"].maps()[[3, 0, 1]])


def test_the_textbook_s_channels_are_those_that_row_times_ten_plus_column_picks(cli: Cli) -> None:
    document = json.loads(cli("maps", *of_net(), "cat.png", "--channels", "textbook", "--json").out)
    assert document["sites"][0]["channels"] == [row * 10 + column for row in range(4) for column in range(4)]
    assert document["sites"][0]["site"] == "features.0"


def test_a_grid_of_other_size_is_filled_with_the_most_active(cli: Cli) -> None:
    document = json.loads(cli("maps", *of_net(), "cat.png", "--rows", "2", "--columns", "3", "--json").out)
    activity = traced()["features.0"].maps().mean(axis=(1, 2), dtype=np.float64)
    assert document["sites"][0]["channels"] == np.argsort(-activity, kind="stable")[:6].tolist()


def test_all_channels_need_no_count_of_rows(cli: Cli) -> None:
    document = json.loads(cli("maps", *of_net(), "cat.png", "--channels", "all", "--json").out)
    assert document["sites"][0]["channels"] == list(range(40))


def test_one_scale_for_all_is_another_picture(cli: Cli, place: Path) -> None:
    assert cli("maps", *of_net(), "cat.png", "-o", "own.png").code == 0
    assert cli("maps", *of_net(), "cat.png", "-o", "shared.png", "--scale", "shared").code == 0
    assert (place / "own.png").read_bytes() != (place / "shared.png").read_bytes()


def test_depth_takes_the_first_middle_and_last_convolution(cli: Cli) -> None:
    ended = cli("maps", *of_net(), "cat.png", "--depth", "--json")
    document = json.loads(ended.out)
    assert [each["site"] for each in document["sites"]] == ["features.0", "features.2", "features.5"]
    with PIL.Image.open(document["file"]) as drawn:
        assert drawn.format == "PNG"


def test_depth_takes_0_20_and_40_of_the_seed_network(cli: Cli) -> None:
    ended = cli("maps", "xai", "cat.png", "--depth", "--rows", "1", "--columns", "2", "--json")
    assert [each["site"] for each in json.loads(ended.out)["sites"]] == ["features.0", "features.20", "features.40"]


def test_several_sites_without_depth_are_refused_with_the_way_out(cli: Cli) -> None:
    ended = cli("maps", *of_net(), "cat.png", "--site", "kind:conv")
    assert ended.code == 2
    assert ended.errors[0].endswith("expected one site, and it means 3; choose one, or add --depth to see several.")


@pytest.mark.parametrize("option", ["--rows", "--columns"])
def test_no_row_or_column_is_refused(cli: Cli, option: str) -> None:
    ended = cli("maps", *of_net(), "cat.png", option, "0")
    assert (ended.code, ended.errors) == (2, [f"error: {option} is 0, expected 1 or more; 4 suits most."])


def test_the_table_has_a_line_for_every_site_and_says_its_size_before(cli: Cli) -> None:
    ended = cli("trace", *of_net(), "cat.png")
    assert ended.code == 0
    rows = [line for line in ended.out.splitlines()[2:] if line.strip()]
    expected = traced()
    assert [row.split()[0] if row.split()[0] in expected else row.split()[1] for row in rows] == [
        site.name for site in expected
    ]
    size = sum(site.nbytes for site in expected) / 1e6
    assert f"8 sites; no values are kept (with --keep values: {size:.1f} MB)" in ended.err


def test_the_document_of_a_trace_is_that_of_the_library_but_for_the_time(cli: Cli) -> None:
    document = json.loads(cli("trace", *of_net(), "cat.png", "--keep", "values", "--json").out)
    expected = json.loads(json.dumps(traced().rows()))
    for row in (*document["sites"], *expected):
        del row["seconds"]
    assert document["sites"] == expected


def test_chosen_sites_only(cli: Cli) -> None:
    document = json.loads(cli("trace", *of_net(), "cat.png", "--site", "kind:conv", "--json").out)
    assert [row["name"] for row in document["sites"]] == ["features.0", "features.2", "features.5"]


def test_a_saved_trace_comes_back_with_its_values(cli: Cli) -> None:
    assert cli("trace", *of_net(), "cat.png", "--keep", "values", "--save", "seen").code == 0
    found, expected = Trace.load("seen"), traced()
    assert all(bool((a.values == b.values).all()) for a, b in zip(found, expected, strict=True) if b.values is not None)


def test_flags_replace_only_what_they_name(cli: Cli) -> None:
    ended = cli("trace", "xai", "cat.png", "--crop", "none", "--json")
    assert json.loads(ended.out)["input_shape"] == [1, 3, 100, 120]
    assert "note: prepared so: shorter side to 100 (bilinear)" in ended.err
    assert "flags for crop; the rest: assumed" in ended.err


def test_quiet_says_nothing_but_errors(cli: Cli) -> None:
    ended = cli("trace", *of_net(), "cat.png", "-q")
    assert set(ended.err.splitlines()) <= {"the model says hello"}
