"""One picture as everything else sees it: upright 8-bit RGB, with its name, its digest and what reading had to do."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from pellucid.errors import SettingError

# A notebook shows a picture to recognise it; a phone's 12 megapixels would bloat the file.
_SHOWN_SIDE = 768


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Image:
    """A picture that has been read: 8-bit RGB, upright, read-only.

    Made by `pellucid.read`; made by hand it takes a copy of the pixels.

    Attributes:
        pixels: uint8 array (height, width, 3) in RGB order.
        name: What to show: the file's name without its folders, or "array".
        digest: SHA-256 of the file's bytes, or of an array's shape and pixels.
        notes: What reading had to do, as short sentences.
    """

    pixels: npt.NDArray[np.uint8]
    name: str
    digest: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pixels: Any = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            given = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            expected = "a uint8 array (height, width, 3) in RGB order"
            raise SettingError(
                "pixels", given=given, expected=expected, hint="pellucid.read makes one from other arrays"
            )
        if 0 in pixels.shape:
            raise SettingError("pixels", given=pixels.shape, expected="at least one pixel")
        if pixels.flags.writeable or not pixels.flags.c_contiguous:
            # Whoever still holds the array must not be able to change a picture whose digest is known.
            pixels = np.array(pixels, dtype=np.uint8, order="C")
            pixels.flags.writeable = False
            object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "notes", tuple(self.notes))

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.pixels.shape[1])

    def pil(self) -> PIL.Image.Image:
        """The picture as a Pillow image of its own, mode RGB."""
        return PIL.Image.fromarray(self.pixels)

    def __repr__(self) -> str:
        notes = f": {'; '.join(self.notes)}" if self.notes else ""
        return f"<Image {self.name!r} {self.width}×{self.height}, {self.digest[:12]}{notes}>"

    def _repr_png_(self) -> bytes:
        shown = self.pil()
        if max(shown.size) > _SHOWN_SIDE:
            shown.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
        buffer = io.BytesIO()
        shown.save(buffer, "PNG")
        return buffer.getvalue()
