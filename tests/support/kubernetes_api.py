"""What of the API of Kubernetes our stores speak to, on a thread of its own: Secrets, and reviews of tokens.

Written after the API reference (Secret v1, TokenReview authentication.k8s.io/v1, Status v1): a server of Kubernetes
itself is in no package.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = "system:serviceaccount:factotum:tool-executor"


@dataclass
class KubernetesApi:
    """`secrets` by namespace and name; `readable` are the names that the service account may get, None: all.

    `down`: a status that everything is answered with.
    """

    url: str = ""
    token: str = "token-of-the-service-account"
    secrets: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    readable: set[str] | None = None
    down: int = 0
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if self.down:
            return _status(self.down, "InternalError", "etcdserver: request timed out")
        parts = path.strip("/").split("/")
        if method == "POST" and parts == ["apis", "authentication.k8s.io", "v1", "tokenreviews"]:
            known = body["spec"]["token"] == self.token
            user = {"username": ACCOUNT, "uid": "0b1c", "groups": ["system:serviceaccounts"]} if known else {}
            return 201, {**body, "status": {"authenticated": known, "user": user}}
        if token != self.token:
            return _status(401, "Unauthorized", "Unauthorized")
        match parts:
            case ["api", "v1", "namespaces", namespace, "secrets", name] if method == "GET":
                if self.readable is not None and name not in self.readable:
                    return _status(403, "Forbidden", f'secrets "{name}" is forbidden: User "{ACCOUNT}" cannot get it')
                if (namespace, name) not in self.secrets:
                    return _status(404, "NotFound", f'secrets "{name}" not found')
                data = {key: base64.b64encode(value).decode() for key, value in self.secrets[namespace, name].items()}
                return 200, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, "data": data}
        return _status(404, "NotFound", "the server could not find the requested resource")


def _status(code: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}


@contextmanager
def kubernetes_api(certificate: Path | None = None) -> Iterator[KubernetesApi]:
    """Served until the block ends; with TLS if a file with certificate and key is given."""
    api = KubernetesApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, answer = api.answer(self.command, self.path, token, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """What was asked stands in `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield api
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
