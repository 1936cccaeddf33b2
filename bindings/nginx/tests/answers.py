"""A raw exchange with a server: exact bytes out, and the answer taken apart."""

import socket
import ssl
from dataclasses import dataclass

# The server's certificate is its own, made for the test, so there is nothing to check it against.
TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only header of that name; None where there is none. Two are a mistake of the server."""
        found = [value for known, value in self.headers if known.lower() == name.lower()]
        if len(found) > 1:
            raise ValueError(f"{len(found)} headers {name}")
        return found[0] if found else None


def read(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return Answer(int(first.split(" ")[1]), headers, body)


def exchange(address: str | tuple[str, int], preamble: bytes, message: bytes, tls: bool, seconds: float = 10) -> Answer:
    """Sends `preamble` in clear and then `message`, and reads until the server closes."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(seconds)
        connection.connect(address)
        connection.sendall(preamble)
        if tls:
            with TLS.wrap_socket(connection, server_hostname="localhost", suppress_ragged_eofs=True) as channel:
                channel.sendall(message)
                return read(received(channel))
        connection.sendall(message)
        return read(received(connection))


def received(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)
