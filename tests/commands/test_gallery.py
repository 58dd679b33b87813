"""The gallery, and `explain --methods all`, leave out in words what has no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from commands.explain import usable_methods
from commands.gallery import _page
from explainers import registry
from explainers.base import ExplainerError


class Some(Mapping[str, Any]):
    """Networks of which only the autoencoder can be opened."""

    def __getitem__(self, role: str) -> Any:
        if role == "autoencoder":
            return object()
        raise ExplainerError(f"There is no {role} here.")

    def __iter__(self) -> Iterator[str]:
        return iter(("autoencoder", "wgan"))

    def __len__(self) -> int:
        return 2


def test_methods_without_their_network_are_left_out_and_each_is_said_once() -> None:
    usable, missing = usable_methods(Some())
    assert set(usable) == {
        name for name in registry.names() if set(registry.spec(name).needs) <= {"autoencoder"}
    }
    assert len(usable) + len(missing) == len(registry.names()) - 1  # toggles have their own page
    assert "Visual rationale is left out: There is no wgan here." in missing


def test_the_page_lists_the_methods_that_it_shows() -> None:
    text = _page(["Mass"], ("lime",))
    assert "(`lime`)" in text and "syce" not in text
