"""The store in Secret Manager against a server that speaks its protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.support.servers.secret_manager import PATH, Manager, serving
from transforms.errors import Trouble
from transforms.outreach.auth.secret_manager import SecretStore

NOW = 1_800_000_000.0


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def stores(manager: Manager) -> Iterator[Callable[[], SecretStore]]:
    with serving(manager) as client:
        yield lambda: SecretStore(f"{PATH}/versions/latest", client)


def test_what_is_written_is_read_and_all_but_two_versions_are_destroyed(
    manager: Manager, stores: Callable[[], SecretStore]
) -> None:
    store = stores()
    for content in (b"one", b"two", b"three", b"four"):
        store.write(content)
    assert stores().read() == b"four"
    assert manager.destroyed == {1, 2}


def test_nothing_written_yet_is_no_file(stores: Callable[[], SecretStore]) -> None:
    with pytest.raises(FileNotFoundError):
        stores().read()


def test_one_worker_holds_the_lock_until_it_lets_go(stores: Callable[[], SecretStore]) -> None:
    one, other = stores(), stores()
    assert one.try_lock(NOW)
    assert not other.try_lock(NOW)
    other.unlock()
    assert not other.try_lock(NOW)
    one.unlock()
    assert other.try_lock(NOW)


def test_the_lock_of_a_worker_that_died_runs_out(stores: Callable[[], SecretStore]) -> None:
    assert stores().try_lock(NOW)
    assert not stores().try_lock(NOW + 299)
    assert stores().try_lock(NOW + 300)


def test_who_saw_an_old_state_does_not_get_the_lock(
    manager: Manager, stores: Callable[[], SecretStore]
) -> None:
    assert stores().try_lock(NOW)
    manager.annotations_lag = 1
    assert not stores().try_lock(NOW)


def test_who_has_the_lock_reads_what_its_last_holder_wrote(
    manager: Manager, stores: Callable[[], SecretStore]
) -> None:
    one, other = stores(), stores()
    one.write(b"old")
    assert one.try_lock(NOW)
    one.write(b"new")
    one.unlock()
    manager.latest_lags = 1
    assert other.read() == b"old"
    assert other.try_lock(NOW)
    assert other.read() == b"new"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, Trouble),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Trouble),
        (grpc.StatusCode.INTERNAL, Trouble),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Trouble),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionError),
        (grpc.StatusCode.UNAUTHENTICATED, PermissionError),
        (grpc.StatusCode.NOT_FOUND, FileNotFoundError),
    ],
)
def test_what_secret_manager_answers_is_trouble_or_to_be_mended(
    manager: Manager,
    stores: Callable[[], SecretStore],
    status: grpc.StatusCode,
    error: type[Exception],
) -> None:
    store = stores()
    manager.failing = status
    with pytest.raises(error):
        store.write(b"new")
    with pytest.raises(error):
        store.try_lock(NOW)
    store.unlock()
