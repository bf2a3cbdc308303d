"""A server that speaks Secret Manager's protocol, and keeps its promises.

Only those: a version is there by its number at once, ``latest`` and what `get_secret` says
lag behind, and an update with an etag that is not the newest is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

secretmanager: Any = pytest.importorskip(
    "google.cloud.secretmanager", reason="the dataflow extra is not installed"
)
transports: Any = pytest.importorskip(
    "google.cloud.secretmanager_v1.services.secret_manager_service.transports"
)

PATH = "projects/p/secrets/ops"


class Manager:
    """One secret, as Secret Manager keeps it."""

    def __init__(self) -> None:
        self.versions: dict[int, bytes] = {}
        self.destroyed: set[int] = set()
        self.annotations: list[dict[str, str]] = [{}]
        self.latest_lags = self.annotations_lag = 0
        self.failing: grpc.StatusCode | None = None
        self.takes_versions = True

    def access(self, request: Any, context: grpc.ServicerContext) -> Any:
        secret, _, asked = request.name.partition("/versions/")
        if secret != PATH:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
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

    def add_if_permitted(self, request: Any, context: grpc.ServicerContext) -> Any:
        if not self.takes_versions:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "no role to add a version")
        return self.add(request, context)

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


@contextmanager
def serving(manager: Manager) -> Iterator[Any]:
    """Serves the secret; gives a client of it."""
    methods = {
        "AccessSecretVersion": (secretmanager.AccessSecretVersionRequest, manager.access),
        "AddSecretVersion": (secretmanager.AddSecretVersionRequest, manager.add_if_permitted),
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
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            transport = transports.SecretManagerServiceGrpcTransport(channel=channel)
            yield secretmanager.SecretManagerServiceClient(transport=transport)
    finally:
        server.stop(None).wait()
