"""Kernel clients: what an ordinary program on the other end of the wire does."""

import contextlib
import hashlib
import itertools
import random
import resource
import socket
import threading

import net

TIMEOUT = 30


def many_files():
    """Allows as many open sockets as the machine does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connect(address, port, timeout=TIMEOUT):
    return socket.create_connection((address, port), timeout=timeout)


def chunks(size, seed=1):
    """Bytes that nobody guesses, the same for the same seed, in pieces: `size` together."""
    block = random.Random(seed).randbytes(1 << 20)
    for number in itertools.count():
        if size <= 0:
            return
        # Each piece differs, so that one missing or repeated changes the hash.
        piece = number.to_bytes(8, "big") + block[8:]
        yield piece[:size]
        size -= len(piece)


def payload(size, seed=1):
    return b"".join(chunks(size, seed))


def receive_all(connection, digest=None):
    """Reads to the end; returns how many bytes came, and adds them to `digest`."""
    count = 0
    while data := connection.recv(1 << 18):
        count += len(data)
        if digest is not None:
            digest.update(data)
    return count


def receive_exactly(connection, count):
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise AssertionError(f"the connection ended after {len(data)} of {count} bytes")
        data += piece
    return bytes(data)


class Sender(threading.Thread):
    """Sends pieces on a connection and then closes its half, while somebody else reads."""

    def __init__(self, connection, pieces):
        super().__init__(daemon=True)
        self.connection, self.pieces = connection, pieces
        self.digest, self.count, self.error = hashlib.sha256(), 0, None

    def run(self):
        try:
            for piece in self.pieces:
                self.connection.sendall(piece)
                self.digest.update(piece)
                self.count += len(piece)
            self.connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.error = error

    def finish(self):
        self.join(TIMEOUT)
        if self.error is not None:
            raise AssertionError(f"sending failed after {self.count} bytes: {self.error}")
        return self.count, self.digest.hexdigest()


def echo(address, port, size, seed=1, timeout=TIMEOUT):
    """Sends `size` bytes to an echo service and returns (sent, received) as (count, hash) each."""
    with connect(address, port, timeout) as connection:
        sender = Sender(connection, chunks(size, seed))
        sender.start()
        digest = hashlib.sha256()
        count = receive_all(connection, digest)
        return sender.finish(), (count, digest.hexdigest())


def datagram(address, port, data, timeout=2.0):
    """Sends a datagram by a connected socket; returns the answer, None if none came. Raises what ICMP reports."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as s:
        s.settimeout(timeout)
        s.connect((address, port))
        s.send(data)
        try:
            return s.recv(65536)
        except TimeoutError:
            return None


def curl(*arguments, check=True):
    """Runs curl; returns what it ended with and printed."""
    return net.run("curl", "-sS", "--max-time", "20", *arguments, check=check)


def raw_http(address, request, port=80, timeout=10):
    """Sends bytes and returns all that comes until the end."""
    with connect(address, port, timeout) as connection:
        connection.sendall(request)
        answer = bytearray()
        while data := connection.recv(65536):
            answer += data
        return bytes(answer)


def parse_http(stream):
    """Splits a stream of answers with Content-Length into (status, {field: value}, body)."""
    answers = []
    while stream:
        head, separator, rest = stream.partition(b"\r\n\r\n")
        assert separator, f"no end of the header: {stream[:200]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(fields.get("content-length", 0))
        assert len(rest) >= length, f"{len(rest)} of {length} bytes of the body"
        answers.append((int(first.split()[1]), fields, rest[:length]))
        stream = rest[length:]
    return answers
