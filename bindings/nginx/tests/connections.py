"""Connections that stay open, one to each worker: who answers is in the header X-Worker."""

import socket
import time


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def ask(self, key: str) -> tuple[int, dict[str, str]]:
        """Status and headers; the names in lower case."""
        self.send([key])
        return self.receive()

    def send(self, keys: list[str]) -> None:
        """A request with each of the keys, one after the other. Each has its answer, in that order."""
        requests = (f"GET / HTTP/1.1\r\nHost: storm\r\nAuthorization: Bearer {key}\r\n\r\n" for key in keys)
        self.socket.sendall("".join(requests).encode())

    def receive(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.received:
            self.more()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers["content-length"])
        while len(self.received) < length:
            self.more()
        self.received = self.received[length:]
        return int(first.split(" ")[1]), headers

    def more(self) -> None:
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the worker closed the connection")
        self.received += part

    def close(self) -> None:
        self.socket.close()


def one_to_each(port: int, workers: list[int], key: str, seconds: float = 30) -> dict[int, Connection]:
    """The kernel chooses which worker gets a connection, so as many are opened as it takes."""
    found: dict[int, Connection] = {}
    spare: list[Connection] = []
    end = time.monotonic() + seconds
    try:
        while set(found) != set(workers):
            if time.monotonic() > end:
                raise TimeoutError(f"no connection to the workers {set(workers) - set(found)}")
            connection = Connection(port)
            worker = int(connection.ask(key)[1]["x-worker"])
            if worker in found:
                # Kept open meanwhile: an idle worker would take the next one as well.
                spare.append(connection)
            else:
                found[worker] = connection
    finally:
        for connection in spare:
            connection.close()
    return found
