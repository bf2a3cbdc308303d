"""The store in Secret Manager against a server that speaks its protocol, and keeps its promises.

Only those: a version is there by its number at once, ``latest`` and what `get_secret` says
lag behind, and an update with an etag that is not the newest is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from transforms.errors import Trouble
from transforms.outreach.secret_store import SecretStore

secretmanager: Any = pytest.importorskip(
    "google.cloud.secretmanager", reason="the dataflow extra is not installed"
)
transports: Any = pytest.importorskip(
    "google.cloud.secretmanager_v1.services.secret_manager_service.transports"
)

PATH = "projects/p/secrets/ops"
NOW = 1_800_000_000.0


class Manager:
    """One secret, as Secret Manager keeps it."""

    def __init__(self) -> None:
        self.versions: dict[int, bytes] = {}
        self.destroyed: set[int] = set()
        self.annotations: list[dict[str, str]] = [{}]
        self.latest_lags = self.annotations_lag = 0
        self.failing: grpc.StatusCode | None = None

    def access(self, request: Any, context: grpc.ServicerContext) -> Any:
        asked = request.name.rpartition("/")[2]
        newest = len(self.versions) - self.latest_lags
        version = newest if asked == "latest" else int(asked)
        if version not in self.versions:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such version")
        if version in self.destroyed:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "it is destroyed")
        data = {"data": self.versions[version]}
        name = f"{PATH}/versions/{version}"
        return secretmanager.AccessSecretVersionResponse(name=name, payload=data)

    def add(self, request: Any, _: grpc.ServicerContext) -> Any:
        version = len(self.versions) + 1
        self.versions[version] = request.payload.data
        return secretmanager.SecretVersion(name=f"{PATH}/versions/{version}")

    def destroy(self, request: Any, _: grpc.ServicerContext) -> Any:
        self.destroyed.add(int(request.name.rpartition("/")[2]))
        return secretmanager.SecretVersion(name=request.name)

    def get(self, request: Any, _: grpc.ServicerContext) -> Any:
        state = max(0, len(self.annotations) - 1 - self.annotations_lag)
        return secretmanager.Secret(
            name=request.name, etag=str(state), annotations=self.annotations[state]
        )

    def update(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.secret.etag != str(len(self.annotations) - 1):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the etag is not the newest")
        self.annotations.append(dict(request.secret.annotations))
        return request.secret

    def handler(self, kind: Any, act: Callable[..., Any]) -> grpc.RpcMethodHandler:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            if self.failing is not None:
                context.abort(self.failing, "for a test")
            return act(request, context)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=kind.deserialize,
            response_serializer=lambda found: type(found).serialize(found),
        )


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def stores(manager: Manager) -> Iterator[Callable[[], SecretStore]]:
    methods = {
        "AccessSecretVersion": (secretmanager.AccessSecretVersionRequest, manager.access),
        "AddSecretVersion": (secretmanager.AddSecretVersionRequest, manager.add),
        "DestroySecretVersion": (secretmanager.DestroySecretVersionRequest, manager.destroy),
        "GetSecret": (secretmanager.GetSecretRequest, manager.get),
        "UpdateSecret": (secretmanager.UpdateSecretRequest, manager.update),
    }
    handlers = {name: manager.handler(*method) for name, method in methods.items()}
    server = grpc.server(ThreadPoolExecutor(4))
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        transport = transports.SecretManagerServiceGrpcTransport(channel=channel)
        client = secretmanager.SecretManagerServiceClient(transport=transport)
        yield lambda: SecretStore(f"{PATH}/versions/latest", client)
    server.stop(None).wait()


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
