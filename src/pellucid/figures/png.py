"""PNG bytes from arrays: small, quick, the same bytes for the same array, and nothing in them but the picture."""

import struct
import zlib

import numpy as np

from pellucid.errors import SettingError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AS_IS, _SUB, _UP = 0, 1, 2


def indexed(entries: np.ndarray, colours: np.ndarray) -> bytes:
    """A palette PNG.

    Args:
        entries: uint8 (height, width), places in `colours`.
        colours: uint8 (1 … 256, 3), RGB.
    """
    if entries.ndim != 2 or entries.dtype != np.uint8 or entries.size == 0:
        raise SettingError("entries", given=_what(entries), expected="uint8 of shape (height, width), not empty")
    if colours.ndim != 2 or colours.shape[1] != 3 or colours.dtype != np.uint8 or not 1 <= len(colours) <= 256:
        raise SettingError("colours", given=_what(colours), expected="uint8 of shape (1 to 256, 3)")
    height, width = entries.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)
    rows[:, 1:] = entries
    # A row that repeats the one above, as most rows of an enlarged map do, is written as "the same": all zeros.
    same = np.zeros(height, dtype=bool)
    same[1:] = (entries[1:] == entries[:-1]).all(axis=1)
    rows[same] = 0
    rows[same, 0] = _UP
    return _file(width, height, colour_type=3, rows=rows, colours=colours)


def rgb(pixels: np.ndarray) -> bytes:
    """A PNG of colours; `pixels` is uint8 (height, width, 3)."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        raise SettingError("pixels", given=_what(pixels), expected="uint8 of shape (height, width, 3), not empty")
    height, width, _ = pixels.shape
    flat = np.ascontiguousarray(pixels).reshape(height, width * 3)
    left, above = flat.copy(), flat.copy()
    left[:, 3:] -= flat[:, :-3]
    above[1:] -= flat[:-1]
    # Each row is written as differences to the left or to above, whichever are smaller (the usual rule of PNG writers).
    cost_left = np.minimum(left, 0 - left).sum(axis=1, dtype=np.int64)
    cost_above = np.minimum(above, 0 - above).sum(axis=1, dtype=np.int64)
    up = cost_above < cost_left
    rows = np.empty((height, width * 3 + 1), dtype=np.uint8)
    rows[:, 0] = np.where(up, _UP, _SUB)
    rows[:, 1:] = np.where(up[:, None], above, left)
    return _file(width, height, colour_type=2, rows=rows, colours=None)


def _file(width: int, height: int, *, colour_type: int, rows: np.ndarray, colours: np.ndarray | None) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    parts = [_SIGNATURE, _chunk(b"IHDR", head)]
    if colours is not None:
        parts.append(_chunk(b"PLTE", np.ascontiguousarray(colours).tobytes()))
    parts += [_chunk(b"IDAT", _packed(rows.tobytes(), runs=colours is not None)), _chunk(b"IEND", b"")]
    return b"".join(parts)


def _packed(content: bytes, *, runs: bool) -> bytes:
    # A small drawing is packed well: a page holds dozens of them. A large one is packed quickly; on a mosaic, looking
    # only for runs of one colour takes 0.6 of the time and gives fewer bytes than the quickest search for repetitions.
    large = len(content) > 1_000_000
    strategy = zlib.Z_RLE if large and runs else zlib.Z_DEFAULT_STRATEGY
    packer = zlib.compressobj(1 if large else 6, strategy=strategy)
    return packer.compress(content) + packer.flush()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def _what(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"
