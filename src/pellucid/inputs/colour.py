"""From the colours that an embedded profile means to sRGB, which all models here were trained on."""

import io
from functools import lru_cache

import numpy as np
import PIL.Image
from PIL import ImageCms

from pellucid.inputs.files import readable

# How far a profile may be from sRGB, in steps of 255, before it counts as another: two makers' sRGB differ by one.
_TOLERANCE = 2

_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_srgb(colour: PIL.Image.Image, profile: bytes) -> tuple[PIL.Image.Image, tuple[str, ...]]:
    """The picture in sRGB, and a note unless the profile is sRGB's own.

    A profile that is damaged, or is for another kind of picture, changes nothing; that is noted.

    Args:
        colour: A picture of mode L, RGB or CMYK.
        profile: The bytes of its ICC profile.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        title = readable(ImageCms.getProfileDescription(source).strip(), limit=60)
        mode = _SPACES.get(source.profile.xcolor_space.strip(), "")
        if mode == "RGB" and _is_srgb(profile):
            return colour, ()
        if mode != colour.mode:
            return colour, (f"colour profile '{title}' ignored: it is not for pictures of mode {colour.mode}",)
        converted = _converted(colour, source)
    except (ImageCms.PyCMSError, ImportError, OSError, ValueError, TypeError):
        return colour, ("colour profile ignored: it is damaged; colours taken as sRGB",)
    return converted, (f"converted from the colour profile '{title}' to sRGB",)


def _converted(colour: PIL.Image.Image, source: ImageCms.ImageCmsProfile) -> PIL.Image.Image:
    converted = ImageCms.profileToProfile(
        colour,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:  # only with inPlace
        raise ImageCms.PyCMSError("no picture came back")
    return converted


@lru_cache(maxsize=16)
def _is_srgb(profile: bytes) -> bool:
    """Whether colours keep their numbers. The title does not say: "sRGB" also stands in profiles of linear light."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(len(steps), -1, 3)
    after = np.asarray(_converted(PIL.Image.fromarray(cube), ImageCms.ImageCmsProfile(io.BytesIO(profile))))
    return bool(np.abs(after.astype(int) - cube.astype(int)).max() <= _TOLERANCE)
