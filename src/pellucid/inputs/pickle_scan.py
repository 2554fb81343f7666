"""What a pickle would do, read off its operations before any of them runs."""

import pickle
import pickletools

_BY_CODE = {ord(each.code): each for each in pickletools.opcodes}
_COUNTED = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
# Fixed lengths of arguments; None where the argument itself says how long it is.
_LENGTHS: list[int | None] = [
    (0 if known.arg is None else known.arg.n if known.arg.n >= 0 else None) if (known := _BY_CODE.get(code)) else -1
    for code in range(256)
]
_LONG_PUT, _PUT, _STOP = ord("r"), ord("p"), ord(".")
_TWO_LINES = frozenset(map(ord, "ci"))


def check_sizes(content: bytes) -> None:
    """Refuse a pickle that would make the unpickler allocate far more than the file holds.

    A number of the table of remembered objects makes that table as long, so a file of ten bytes could ask for all
    memory. No honest pickle remembers more objects than it has bytes.

    Raises:
        pickle.UnpicklingError: It would, or it ends too early.
    """
    place, end = 0, len(content)
    while place < end:
        code = content[place]
        length = _LENGTHS[code]
        if code == _STOP:
            return
        if length == -1:
            raise pickle.UnpicklingError(f"byte {place} is no operation of a pickle")
        if length is None:
            length = _length(content, place, code)
        elif code == _LONG_PUT and int.from_bytes(content[place + 1 : place + 5], "little") > end:
            raise pickle.UnpicklingError("it remembers more objects than it has bytes")
        place += 1 + length
    raise pickle.UnpicklingError("the file ends too early")


def _length(content: bytes, place: int, code: int) -> int:
    argument = _BY_CODE[code].arg
    assert argument is not None
    if argument.n in _COUNTED:
        width = _COUNTED[argument.n]
        return width + int.from_bytes(content[place + 1 : place + 1 + width], "little")
    line = content.find(b"\n", place + 1)
    if code in _TWO_LINES and line >= 0:
        line = content.find(b"\n", line + 1)
    if line < 0:
        raise pickle.UnpicklingError("the file ends too early")
    # A number longer than that would exceed any file; int() refuses very long ones itself.
    if code == _PUT and (line - place > 20 or int(content[place + 1 : line]) > len(content)):
        raise pickle.UnpicklingError("it remembers more objects than it has bytes")
    return line - place
