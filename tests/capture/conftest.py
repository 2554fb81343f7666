"""Small work on one core: more threads only wait for each other."""

from collections.abc import Iterator

import jaxtyping
import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread_and_a_seed() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for users, whom nobody keeps from passing another type than the annotated one."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
