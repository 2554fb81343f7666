"""The methods by name, and the text form in which they are written: `integrated-gradients(steps=100)`."""

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

from pellucid.capture.asks import Combine, Method, Probe, Rules
from pellucid.errors import MethodError, SettingError, did_you_mean
from pellucid.registry import Registry

METHODS: Registry[Any] = Registry("method", package="pellucid.methods")
GRAPH_METHODS: Registry[Any] = Registry("method for graphs", package="pellucid.methods")
register, register_graph = METHODS.register, GRAPH_METHODS.register

_CALL = re.compile(r"\s*([\w+-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
# Words that need no quotes: nothing in them ends a setting or could be taken for a quote.
_BARE = re.compile(r"[\w.:/#@*?+-]+")


def method_from(text: str | Method, *, among: Registry[Any] = METHODS) -> Method:
    """A method from its text form; a method itself passes through.

    Args:
        text: `grad-cam`, `grad-cam(site=features.20)`, `integrated-gradients(steps=100, baseline=blur:11)`. A value
            with a comma, a bracket or a blank in it is written in quotes.
        among: The methods for pictures, or `GRAPH_METHODS`.

    Raises:
        MethodError: No method of that name, or the text cannot be read.
        SettingError: No such setting, or a value that makes no sense.
    """
    if not isinstance(text, str):
        return _checked(text, among)
    match = _CALL.fullmatch(text)
    if match is None:
        raise MethodError(f"{text!r} cannot be read as a method; write it as name or name(setting=value, …).")
    kinds = get_type_hints(among[match.group(1)])
    given: dict[str, Any] = {}
    for piece in _pieces(match.group(2) or "", within=text):
        name, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or not name or not value:
            raise MethodError(f"{piece.strip()!r} in {text!r} cannot be read; settings are written as name=value.")
        if name in given:
            raise MethodError(f"{text!r} gives {name} twice; give it once.")
        given[name] = _value(value, kinds.get(name))
    return build(match.group(1), given, among=among)


def build(name: str, settings: Mapping[str, Any], *, among: Registry[Any] = METHODS) -> Method:
    """A method from its name and settings.

    Raises:
        SettingError: No such setting, or a value that makes no sense.
    """
    cls = among[name]
    known = [f.name for f in dataclasses.fields(cls)]
    for given in settings:
        if given not in known:
            listed = f"a setting of {name}: {', '.join(known)}" if known else f"no settings: {name} has none"
            raise SettingError(
                "setting", given=given, expected=listed, hint=did_you_mean(given, known).removeprefix("; ").rstrip("?")
            )
    return cls(**settings)


def settings_of(method: Method) -> dict[str, Any]:
    """The settings of a method by name, as JSON types."""
    return {f.name: getattr(method, f.name) for f in dataclasses.fields(method)}


def name_of(method: Method) -> str:
    """The name under which a method is registered.

    Raises:
        MethodError: Its class is not registered.
    """
    for among in (METHODS, GRAPH_METHODS):
        if type(method) in among.classes():
            return among.name_of(type(method))
    raise MethodError(f"{type(method).__name__} is no registered method; put @register(name) above the class.")


def text_of(method: Method) -> str:
    """The text form of a method, with the settings that differ from their defaults."""
    changed = [
        f"{f.name}={_written(getattr(method, f.name))}"
        for f in dataclasses.fields(method)
        if f.default is dataclasses.MISSING or getattr(method, f.name) != f.default
    ]
    return name_of(method) + (f"({', '.join(changed)})" if changed else "")


def _checked(method: Method, among: Registry[Any]) -> Method:
    """A method that was given as an object, refused here rather than after the work."""
    if isinstance(method, type):
        raise MethodError(f"{method.__name__} is a class, expected an instance; write {method.__name__}().")
    if not dataclasses.is_dataclass(method):
        raise MethodError(f"{method!r} is no method; give a name such as 'grad-cam' or an instance such as GradCAM().")
    name = name_of(method)
    if type(method) not in among.classes():
        given, wanted = ("graphs", "pictures") if among is METHODS else ("pictures", "graphs")
        raise MethodError(f"{name} is for {given}, and {wanted} are explained; choose one of {', '.join(among)}.")
    if among is METHODS and not any(isinstance(method, protocol) for protocol in (Combine, Probe, Rules)):
        raise MethodError(f"{name} follows none of the protocols Combine, Probe and Rules; give it their functions.")
    return method


def _pieces(text: str, *, within: str) -> Iterator[str]:
    """Split at the commas that stand outside brackets and quotes."""
    depth, start, quote, escaped = 0, 0, "", False
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and not escaped else quote
            escaped = letter == "\\" and not escaped
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0 and not quote:
            yield text[start:place]
            start = place + 1
    if depth or quote:
        what = f"a quote {quote}" if quote else "a bracket"
        raise MethodError(f"{within!r} cannot be read: {what} has no partner.")
    if text[start:].strip():
        yield text[start:]


def _value(text: str, kind: Any) -> Any:
    if (kind is str and text[0] not in "'\"") or text in get_args(kind):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and kind in (float, float | None) else value


def _written(value: object) -> str:
    return repr(value) if isinstance(value, str) and not _BARE.fullmatch(value) else str(value)
