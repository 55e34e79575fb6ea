"""A proxy that sees every request, and can hold a reply back."""

from __future__ import annotations

import http.client
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """A request as the proxy saw it."""

    method: str
    path: str
    """With the query."""
    target: str
    """What it asks for, of services of AWS that name it in a header: `PutItem`."""
    body: bytes = field(repr=False)
    caller: str = ""
    """The method that was called in the client, if the client tells it, as toloka-kit does."""

    @property
    def kind(self) -> str:
        """What it is about, without what differs from one thing to the next: `GET /pools/*`."""
        if self.target:
            return self.target
        path = self.path.partition("?")[0].removeprefix("/api/v1")
        return f"{self.method} {re.sub(r'/(?=[0-9a-f-]*[0-9])[0-9a-f-]+', '/*', path)}"


@dataclass
class Gate:
    """Holds back the reply to one request: `arrived` tells that the request was answered, `open` lets
    the reply go. Who is killed in between has had the effect and lost the reply."""

    matches: Callable[[Request], bool]
    arrived: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Clients that are killed hang up in the middle: that is what tests do."""


class Proxy:
    """Passes every request on to another port of this machine."""

    def __init__(self, to: int):
        self.prefix = ""
        """Put before every path."""
        self.seen: list[Request] = []
        self.gates: list[Gate] = []
        self.lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # A reply is one segment, not a header and then a body that waits for it.
            wbufsize = -1

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                target = (self.headers.get("X-Amz-Target") or "").rpartition(".")[2]
                caller = self.headers.get("X-Top-Level-Method") or ""
                request = Request(self.command, proxy.prefix + self.path, target, body, caller)
                with proxy.lock:
                    proxy.seen.append(request)
                status, headers, body = proxy.ask(to, request, self.headers)
                proxy.hold(request)
                try:
                    self.send_response_only(status)
                    for name, value in headers:
                        self.send_header(name, value)
                    if self.command != "HEAD":
                        self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def ask(to: int, request: Request, headers) -> tuple[int, list[tuple[str, str]], bytes]:
        """The answer, or 503 as a load balancer gives it for who is down."""
        connection = http.client.HTTPConnection("127.0.0.1", to, timeout=120)
        try:
            # All but what is between two neighbours; `Host` stays, because signatures cover it.
            kept = {name: value for name, value in headers.items() if name.lower() not in NEIGHBOURS}
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in kept.items():
                connection.putheader(name, value)
            if request.body or request.method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            told = [pair for pair in answer.getheaders() if pair[0].lower() not in NEIGHBOURS]
            if request.method == "HEAD":
                # Of the body that a GET would bring.
                told.append(("Content-Length", answer.getheader("Content-Length") or "0"))
            return answer.status, told, answer.read()
        except OSError:
            return 503, [("Content-Type", "application/json")], b"{}"
        finally:
            connection.close()

    def hold(self, request: Request) -> None:
        with self.lock:
            gate = next((gate for gate in self.gates if gate.matches(request)), None)
            if gate:
                self.gates.remove(gate)
        if gate:
            gate.arrived.set()
            gate.open.wait(60)

    def gate(self, matches: Callable[[Request], bool]) -> Gate:
        """Holds the reply to the next request that matches."""
        gate = Gate(matches)
        with self.lock:
            self.gates.append(gate)
        return gate

    def count(self, begin: int = 0) -> Counter[str]:
        """What was asked since request number `begin`, by kind."""
        with self.lock:
            return Counter(request.kind for request in self.seen[begin:])


NEIGHBOURS = {"connection", "content-length", "keep-alive", "transfer-encoding"}
