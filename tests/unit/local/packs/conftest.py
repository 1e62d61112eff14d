"""A real HTTPS server with faults to order, and a small catalogue that points at it."""

import datetime
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Origin:
    """What the server serves and how it misbehaves; records every request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etag = '"v1"'
        self.ranges = True
        self.break_after: list[int | None] = []
        """Bytes to send before breaking off, one entry per request; empty: send everything."""
        self.statuses: list[int] = []
        """Statuses to answer with first, one per request."""
        self.redirects: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.url = ""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is what some tests are about."""


def _handler(origin: Origin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            origin.requests.append((self.path, wanted))
            if origin.statuses:
                self.send_error(origin.statuses.pop(0))
                return
            if target := origin.redirects.get(self.path):
                self.send_response(302)
                self.send_header("Location", target)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = origin.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self._send(content, wanted)

        def _send(self, content: bytes, wanted: str | None) -> None:
            start = 0
            same = self.headers.get("If-Range") == origin.etag
            if wanted and origin.ranges and same:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content) > 0:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("ETag", origin.etag)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            limit = origin.break_after.pop(0) if origin.break_after else None
            self.wfile.write(content[start:] if limit is None else content[start : start + limit])
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    return Handler


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key for 127.0.0.1, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "origin.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def origin(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    """An HTTPS server on a free port that the process under test trusts."""
    state = Origin()
    server = _Server(("127.0.0.1", 0), _handler(state))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    state.url = f"https://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
