import io

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from pellucid.inputs.reading import read

STEPS = np.arange(0, 256, 15, dtype=np.uint8)
COLOUR = np.stack(np.meshgrid(STEPS, STEPS, STEPS, indexing="ij"), axis=-1).reshape(18, -1, 3)


def saved(picture: PIL.Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def fixed(number: float) -> bytes:
    return round(number * 65536).to_bytes(4, "big", signed=True)


def rgb_profile(
    title: str, *, gamma: float, columns: list[tuple[float, float, float]], space: bytes = b"RGB "
) -> bytes:
    """An ICC profile of version 2 from its definition: primaries in D50 and one gamma for all channels."""

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0" + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + b"\0\0"
    named = title.encode()
    description = b"desc\0\0\0\0" + (len(named) + 1).to_bytes(4, "big") + named + b"\0" + b"\0" * 78
    tags = {b"desc": description, b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        for letter, column in zip("rgb", columns, strict=True):
            tags[f"{letter}XYZ".encode()] = xyz(column)
            tags[f"{letter}TRC".encode()] = curve
    table, body, start = len(tags).to_bytes(4, "big"), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += name + (start + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
    size = (start + len(body)).to_bytes(4, "big")
    head = size + b"\0\0\0\0\x02\x10\0\0mntr" + space + b"XYZ " + b"\0" * 12 + b"acsp"
    head = head.ljust(68, b"\0") + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head.ljust(128, b"\0") + table + body


# Colour matrices to D50 (Lindbloom's tables): one column per primary.
SRGB = [(0.4360747, 0.2225045, 0.0139322), (0.3850649, 0.7168786, 0.0971045), (0.1430804, 0.0606169, 0.7141733)]
ADOBE = [(0.6097559, 0.3111242, 0.0194811), (0.2052401, 0.6256560, 0.0608902), (0.1492240, 0.0632197, 0.7448387)]


def in_srgb(pixels: np.ndarray, *, gamma: float, columns: list[tuple[float, float, float]]) -> np.ndarray:
    """The same conversion by hand: to light, through XYZ, to sRGB's curve."""
    light = (pixels / 255) ** (round(gamma * 256) / 256)
    light = light @ np.array(columns) @ np.linalg.inv(np.array(SRGB))
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def test_wide_colours_are_converted_as_by_hand():
    profile = rgb_profile("Wide", gamma=2.2, columns=ADOBE)
    image = read(saved(PIL.Image.fromarray(COLOUR), icc_profile=profile))
    assert np.abs(image.pixels - in_srgb(COLOUR, gamma=2.2, columns=ADOBE)).max() <= 3
    assert np.abs(image.pixels.astype(int) - COLOUR).max() > 40
    assert image.notes == ("converted from the colour profile 'Wide' to sRGB",)


def test_srgb_of_any_title_changes_no_pixel():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = read(saved(PIL.Image.fromarray(COLOUR), icc_profile=profile))
    assert np.array_equal(image.pixels, COLOUR)
    assert image.notes == ()


def test_a_title_that_says_srgb_is_not_believed():
    profile = rgb_profile("sRGB of linear light", gamma=1.0, columns=SRGB)
    image = read(saved(PIL.Image.fromarray(COLOUR), icc_profile=profile))
    assert np.abs(image.pixels - in_srgb(COLOUR, gamma=1.0, columns=SRGB)).max() <= 3
    assert image.notes == ("converted from the colour profile 'sRGB of linear light' to sRGB",)


def test_grey_with_a_profile_of_its_own_is_converted():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    profile = rgb_profile("Grey 1.8", gamma=1.8, columns=[], space=b"GRAY")
    image = read(saved(PIL.Image.fromarray(grey), icc_profile=profile))
    assert np.abs(image.pixels - in_srgb(np.repeat(grey[..., None], 3, 2), gamma=1.8, columns=SRGB)).max() <= 2
    assert image.notes == ("converted from the colour profile 'Grey 1.8' to sRGB", "grey copied to three channels")


def test_a_profile_for_another_kind_of_picture_is_ignored_and_said():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = read(saved(PIL.Image.fromarray(grey), icc_profile=rgb_profile("Wide", gamma=2.2, columns=ADOBE)))
    assert np.array_equal(image.pixels[..., 0], grey)
    assert image.notes[0] == "colour profile 'Wide' ignored: it is not for pictures of mode L"


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200])
def test_a_damaged_profile_is_ignored_and_said(profile):
    image = read(saved(PIL.Image.fromarray(COLOUR), icc_profile=profile))
    assert np.array_equal(image.pixels, COLOUR)
    assert image.notes == ("colour profile ignored: it is damaged; colours taken as sRGB",)


def test_the_background_is_srgb_whatever_the_profile():
    clear = PIL.Image.new("RGBA", (3, 3), (255, 0, 0, 0))
    profile = rgb_profile("Wide", gamma=2.2, columns=ADOBE)
    image = read(saved(clear, icc_profile=profile), background=(10, 200, 30))
    assert np.array_equal(image.pixels, np.full((3, 3, 3), (10, 200, 30), np.uint8))
