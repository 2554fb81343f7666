"""Names for things that are added in one place: `@register("grad-cam")` above a class, and it is found everywhere.

Modules that hold registered things are found by walking their package, so adding a file is enough.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from pellucid.errors import MethodError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from names to classes, filled by decorators.

    Args:
        kind: What the names stand for, as an error says it ("method").
        package: The package whose modules register themselves when imported.
    """

    def __init__(self, kind: str, *, package: str) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, type[T]] = {}
        self._walked = False

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Give the class below a name. Stands above `@dataclass`, since slots make a new class.

        Raises:
            ValueError: The name is taken.
        """

        def keep(entry: type[T]) -> type[T]:
            if name in self._entries:
                raise ValueError(f"the {self.kind} name {name!r} is taken by {self._entries[name].__qualname__}")
            self._entries[name] = entry
            return entry

        return keep

    def __getitem__(self, name: str) -> type[T]:
        self._walk()
        if name not in self._entries:
            known = sorted(self._entries)
            near = did_you_mean(name, known) or f"; known are {', '.join(known)}."
            raise MethodError(f"no {self.kind} {name!r}{near}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._walk()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._walk()
        return len(self._entries)

    def classes(self) -> list[type[T]]:
        """The registered classes, by name."""
        return [self._entries[name] for name in self]

    def name_of(self, entry: type[T]) -> str:
        """The name under which a class is registered."""
        self._walk()
        return next(name for name, known in self._entries.items() if known is entry)

    def _walk(self) -> None:
        if self._walked:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, prefix=f"{self._package}."):
            importlib.import_module(module.name)
        self._walked = True
