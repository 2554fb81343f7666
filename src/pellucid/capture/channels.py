"""Which channels of a site to show, from the words a person uses: "0-15", "3,7,12", "top:16", "textbook", "all"."""

import re
from collections.abc import Sequence

import numpy as np

from pellucid.errors import SettingError
from pellucid.models.geometry import is_whole

TEXTBOOK = tuple(row * 10 + column for row in range(4) for column in range(4))
"""0–3, 10–13, 20–23, 30–33: what `row * 10 + column` picks for a grid of four by four."""

_FORMS = 'numbers and ranges such as "0-15" or "3,7,12", "top:16", "textbook" or "all"'


def select_channels(spec: str | Sequence[int], maps: np.ndarray) -> tuple[int, ...]:
    """The numbers of the channels that are meant, in the order in which they are to be shown.

    Args:
        spec: Numbers and ranges ("0-15", "3,7,12", "0-3,8"), `top:N` (the N channels with the highest mean activation,
            all if there are fewer; ties by the lower number, NaN last), `textbook` (0–3, 10–13, 20–23, 30–33), `all`,
            or a sequence of numbers. A number that is named twice is taken once.
        maps: The site's values, (channels, height, width).

    Raises:
        SettingError: A channel that the site does not have, or words that mean none.
    """
    maps = np.asarray(maps)
    if maps.ndim != 3 or not len(maps):
        raise SettingError("maps", given=maps.shape, expected="the shape (channels, height, width)")
    count = len(maps)
    if not isinstance(spec, str):
        numbers = _numbers(spec)
        return _present(numbers, count, given=numbers)
    words = spec.strip().lower()
    if words == "all":
        return tuple(range(count))
    if words == "textbook":
        if count <= TEXTBOOK[-1]:
            raise SettingError(
                "channels",
                given=spec,
                expected=f"34 channels or more, since the textbook's picture takes 0 to 33, but the site has {count}",
                hint="top:16 shows the most active ones",
            )
        return TEXTBOOK
    if words.startswith("top:"):
        return _most_active(words.removeprefix("top:").strip(), maps, given=spec)
    return _present(_listed(words, count, given=spec), count, given=spec)


def _numbers(spec: Sequence[int]) -> list[int]:
    try:
        numbers = list(spec)
    except TypeError:
        raise SettingError("channels", given=spec, expected=_FORMS) from None
    # A fraction or a flag would be taken for a number without a word.
    if not all(is_whole(number) for number in numbers):
        raise SettingError("channels", given=numbers, expected="whole numbers, as [3, 7, 12]")
    return [int(number) for number in numbers]


def _listed(words: str, count: int, *, given: str) -> list[int]:
    channels: list[int] = []
    for word in words.split(","):
        found = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", word)
        if not found:
            raise SettingError("channels", given=given, expected=_FORMS)
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise SettingError("channels", given=given, expected=f"ranges from low to high, such as {last}-{first}")
        # Only as far as the error needs: "0-999999999" should not fill the memory first.
        channels.extend(range(first, min(last, first + count) + 1))
    return channels


def _present(channels: list[int], count: int, *, given: object) -> tuple[int, ...]:
    if not channels:
        raise SettingError("channels", given=given, expected=_FORMS)
    if not all(0 <= channel < count for channel in channels):
        has = "1 channel" if count == 1 else f"{count} channels"
        hint = "" if count == 1 else "top:16 shows the most active ones"
        raise SettingError(
            "channels", given=given, expected=f"numbers from 0 to {count - 1}, since the site has {has}", hint=hint
        )
    return tuple(dict.fromkeys(channels))


def _most_active(number: str, maps: np.ndarray, *, given: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[0-9]+", number) or int(number) < 1:
        raise SettingError("channels", given=given, expected="top: and a number from 1, such as top:16")
    # Infinity minus infinity inside one map is NaN, which is what a reader should be told; it is no warning.
    with np.errstate(invalid="ignore"):
        activity = maps.reshape(len(maps), -1).mean(axis=1, dtype=np.float64)
    # Stable, so that ties keep the order of their numbers; sorting puts NaN last.
    order = np.argsort(-activity, kind="stable")
    return tuple(int(channel) for channel in order[: int(number)])
