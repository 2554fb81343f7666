"""`watch`: the sites of a model inside the user's own loop."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from pellucid.capture.recorder import Recorder
from pellucid.capture.sites import Site, select_all, select_one, wanted_by
from pellucid.capture.trace import SUMMARY, Keep
from pellucid.errors import ModelError, SettingError, SiteError
from pellucid.models.loading import load
from pellucid.models.model import Model


class Seen:
    """What a `watch` has seen: the sites of the latest pass."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @property
    def sites(self) -> tuple[Site, ...]:
        """All sites of the latest pass, in order; values where they were asked for."""
        return self._recorder.sites()

    @property
    def aliases(self) -> Mapping[str, str]:
        """Containers and the sites that they stand for."""
        return dict(self._recorder.aliases)

    def __getitem__(self, selector: str) -> Site:
        """The one site that a selector means.

        Raises:
            SiteError: None or several match, or no pass has been made yet.
        """
        sites = self.sites
        if not sites:
            raise SiteError("nothing has been seen yet: call the model inside the with block first.")
        return select_one(selector, sites, self._recorder.aliases)

    def select(self, *selectors: str) -> tuple[Site, ...]:
        """All sites that any selector means, each once, in order of execution."""
        return tuple(select_all(selectors, self.sites, self._recorder.aliases))

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self._recorder.calls)

    def __repr__(self) -> str:
        return f"<Seen: {len(self)} sites of the latest pass>"


@contextmanager
def watch(
    model: Model | nn.Module | str,
    sites: str | Iterable[str] = "*",
    *,
    keep: Keep = "values",
    reuse: bool = False,
) -> Iterator[Seen]:
    """See the sites of a model while your own code runs it.

    The model runs as it is: in its own mode, with or without gradients, under autocast. Values are detached. The
    hooks are gone when the block ends, also after an exception.

    Args:
        model: The model that your code calls.
        sites: Whose values to keep: selectors as for a trace: names, containers, globs (`layer1.*`), `kind:conv`,
            `@12`.
        keep: "values", or "statistics" or "full" statistics of every site instead.
        reuse: Keep values in buffers that the next pass overwrites: no fresh memory per pass, and a value is only
            good until then.

    Yields:
        What has been seen in the latest pass: `seen["features.20"].values`.

    Raises:
        SiteError: The block has ended, passes were made, and a name matched nothing.
        ModelError: The model is compiled, so that its parts are not called one by one.
    """
    if keep not in SUMMARY:
        raise SettingError("keep", given=keep, expected="'values', 'statistics' or 'full'")
    if type(model).__name__ == "OptimizedModule":
        raise ModelError(
            "this model is compiled by torch.compile, which does not call its parts one by one; run the module that it "
            "was made from in the block, and watch that: model._orig_mod."
        )
    wanted = [sites] if isinstance(sites, str) else list(sites)
    module = load(model).module
    recorder = Recorder(
        module,
        wants=wanted_by(wanted) if keep == "values" else None,
        statistics=SUMMARY[keep],
        buffers={} if reuse else None,
    )
    seen = Seen(recorder)
    with recorder:
        yield seen
    if len(seen):
        for name in wanted:
            seen.select(name)
