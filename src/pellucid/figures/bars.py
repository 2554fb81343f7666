"""Values with names as horizontal bars around zero, the largest first, each with its number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.colour import NEGATIVE, POSITIVE
from pellucid.figures.numbers import grouped, number
from pellucid.figures.paint import checked_values
from pellucid.figures.svg import INK, PAGE, SOFT, Drawing, clean, document, element, px, shortened, text, text_room
from pellucid.figures.wording import ENGLISH, Wording

_SIZE, _ROW, _BAR, _TITLE, _EDGE = 13, 24, 12, 15, 8.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BarsFigure(Drawing):
    """Drawn bars.

    Attributes:
        order: The places of the values that are drawn, from the top.
        left_out: How many are not.
    """

    order: tuple[int, ...]
    left_out: int


def draw_bars(
    values: np.ndarray | Sequence[float],
    names: Sequence[str] | None = None,
    *,
    top: int = 10,
    limit: float | None = None,
    unit: str = "",
    title: str = "",
    description: str = "",
    width: int = 480,
    wording: Wording = ENGLISH,
) -> BarsFigure:
    """Draw the values that are furthest from zero as bars.

    Zero is one line through all bars; a bar to the left is negative, to the right positive. What is left out is counted
    and summed in the last line.

    Args:
        values: One for each feature. What is not finite has no bar and comes last.
        names: What each is called; its number unless given.
        top: How many are drawn.
        limit: The value that reaches either end, for several drawings of one width that share a scale; a longer bar is
            cut, and a gap shows it.
        unit: What a value is.
        title: A line above.
        description: What is on it, for those who cannot see it.
        width: In pixels.
        wording: The words.
    """
    found = np.asarray(values)
    count = len(found) if found.ndim == 1 else -1
    if count < 1:
        raise SettingError("values", given=f"{found.dtype} {found.shape}", expected="one or more numbers in a row")
    checked = checked_values(found, count=count, name="values")
    assert checked is not None
    if names is not None and len(names) != count:
        raise SettingError("names", given=f"{len(names)} names", expected=f"{count}")
    if top < 1:
        raise SettingError("top", given=top, expected="1 or more")
    if width < 200:
        raise SettingError("width", given=width, expected="200 or more")
    if limit is not None and not (np.isfinite(limit) and limit > 0):
        raise SettingError("limit", given=limit, expected="a number above 0")
    called = [str(i) for i in range(count)] if names is None else [str(name) for name in names]
    size = np.where(np.isfinite(checked), np.abs(checked), -1.0)
    order = np.lexsort((np.arange(count), -size))[:top]
    reach = limit if limit is not None else float(np.abs(size[order]).max()) if (size[order] >= 0).any() else 0.0
    shown = checked[order]
    parts, y = _heading(title, width)
    rows = _Rows.of(
        [called[i] for i in order], shown, reach=reach, shared=limit is not None, width=width, wording=wording
    )
    for row, name in enumerate(rows.names):
        parts.append(rows.drawn(row, name, called[int(order[row])], y=y + row * _ROW))
    axis = rows.zero
    parts.append(element("path", d=f"M{px(axis)} {px(y)}V{px(y + len(order) * _ROW)}", stroke=SOFT, stroke_width=1))
    y += len(order) * _ROW
    rest = np.setdiff1d(np.arange(count), order)
    for line in (_rest(checked[rest], wording), unit):
        if line:
            y += 18
            parts.append(text(shortened(line, room=width - 2 * _EDGE, size=12), x=_EDGE, y=y, size=12))
    y += _EDGE
    said = description or "; ".join(f"{called[i]}: {number(checked[i], sign=True)}" for i in order)
    return BarsFigure(
        svg=document(parts, width=width, height=y, title=title or unit or said, description=said),
        width=width,
        height=round(y),
        title=title,
        legend={"low": -reach, "high": reach, "unit": unit, "not_finite": int((size < 0).sum())},
        order=tuple(int(i) for i in order),
        left_out=len(rest),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Where names, bars and numbers stand."""

    names: tuple[str, ...]
    values: np.ndarray
    numbers: tuple[str, ...]
    zero: float
    pixels: float
    reach: float
    name_end: float

    @classmethod
    def of(
        cls, names: Sequence[str], values: np.ndarray, *, reach: float, shared: bool, width: int, wording: Wording
    ) -> "_Rows":
        numbers = tuple(number(v, sign=True) if np.isfinite(v) else wording.no_value for v in values.tolist())
        widest = max(text_room(name, size=_SIZE) for name in names)
        name_room = 0.34 * width if shared else min(0.42 * width, widest)
        short = tuple(shortened(name, room=name_room, size=_SIZE) for name in names)
        left, right = _EDGE + name_room + 12, width - _EDGE
        finite = np.where(np.isfinite(values), values, 0.0)
        less = reach if shared else min(reach, float(-finite.min(initial=0.0)))
        more = reach if shared else min(reach, float(finite.max(initial=0.0)))
        # A number stands at the free end of its bar, so each side needs room for the longest of its own.
        sides = dict.fromkeys((-1, 1), 0.14 * width if shared else 0.0)
        if not shared:
            for value, said in zip(values.tolist(), numbers, strict=True):
                side = -1 if value < 0 else 1
                sides[side] = max(sides[side], text_room(said, size=12) + 8)
        # Lengths are shares of the reach: the difference of two very large values is infinite, a very small one is 0.
        shares = (less / reach + more / reach) if reach > 0 else 0.0
        pixels = max(10.0, right - left - sides[-1] - sides[1]) / shares if shares > 0 else 0.0
        zero = left + sides[-1] + (less / reach * pixels if reach > 0 else 0.0)
        return cls(
            names=short, values=values, numbers=numbers, zero=zero, pixels=pixels, reach=reach,
            name_end=_EDGE + name_room,
        )  # fmt: skip

    def drawn(self, row: int, name: str, whole: str, *, y: float) -> str:
        value, said = float(self.values[row]), self.numbers[row]
        base = y + _ROW / 2 + 4.5
        inside = f"<title>{clean(f'{whole}: {said}')}</title>"
        inside += text(name, x=self.name_end, y=base, size=_SIZE, fill=INK, anchor="end")
        if not np.isfinite(value):
            return f"<g>{inside}{text(said, x=self.zero + 6, y=base)}</g>"
        # A value that is not 0 keeps a sliver of a bar.
        share = min(abs(value) / self.reach, 1.0) if value else 0.0
        long = max(share * self.pixels, 1.5 if value else 0.0)
        begin = self.zero - long if value < 0 else self.zero
        colour = "#{:02x}{:02x}{:02x}".format(*(NEGATIVE if value < 0 else POSITIVE))
        top = y + (_ROW - _BAR) / 2
        inside += element("rect", x=float(begin), y=top, width=float(long), height=_BAR, fill=colour)
        end = begin if value < 0 else begin + long
        if abs(value) > self.reach:
            gap = end + 5 if value < 0 else end - 7
            inside += element("rect", x=float(gap), y=top - 1, width=2, height=_BAR + 2, fill=PAGE)
        anchor = "end" if value < 0 else None
        inside += text(said, x=end + (-5 if value < 0 else 5), y=base, size=12, fill=INK, anchor=anchor)
        return f"<g>{inside}</g>"


def _heading(title: str, width: int) -> tuple[list[str], float]:
    if not title:
        return [], _EDGE
    line = shortened(title, room=width - 2 * _EDGE, size=_TITLE)
    return [text(line, x=_EDGE, y=_EDGE + _TITLE, size=_TITLE, fill=INK, weight=600)], _EDGE + _TITLE + 10


def _rest(values: np.ndarray, wording: Wording) -> str:
    if not len(values):
        return ""
    with np.errstate(over="ignore"):
        total = float(values[np.isfinite(values)].sum())
    return wording.more.format(count=grouped(len(values)), sum=number(total, sign=True))
