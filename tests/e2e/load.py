"""Clients that ask a web server again and again, and remember each answer and each failure."""

import dataclasses
import threading
import time

import clients


@dataclasses.dataclass(frozen=True)
class Request:
    """One that was made: when it began, which server answered, or why none did."""

    began: float
    server: str | None
    error: str | None


class Load:
    """Some clients at once; each request on a connection of its own, or all of a client's on one that is kept."""

    def __init__(self, address, port=80, count=6, keep=False, pause=0.002):
        self.address, self.port, self.keep, self.pause = address, port, keep, pause
        self.going = True
        self.lists = [[] for _ in range(count)]
        self.threads = [threading.Thread(target=self.run, args=(own,), daemon=True) for own in self.lists]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join(30)

    @property
    def requests(self):
        return [request for own in self.lists for request in own]

    def since(self, moment):
        """Requests that began then or later."""
        return [request for request in self.requests if request.began >= moment]

    def wait_for(self, count, seconds=20):
        """Waits until so many more were made."""
        wanted, deadline = len(self.requests) + count, time.monotonic() + seconds
        while len(self.requests) < wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(self.requests)} of {wanted} requests in {seconds} s")
            time.sleep(0.05)

    def run(self, own):
        connection = None
        while self.going:
            began = time.monotonic()
            try:
                if connection is None:
                    connection = clients.connect(self.address, self.port, 10)
                own.append(Request(began, self.ask(connection), None))
                failed = False
            except (OSError, AssertionError) as error:
                own.append(Request(began, None, repr(error)))
                failed = True
            if connection is not None and (failed or not self.keep):
                connection.close()
                connection = None
            time.sleep(self.pause)
        if connection is not None:
            connection.close()

    def ask(self, connection):
        """One request; the name of the server that answered."""
        how = b"keep-alive" if self.keep else b"close"
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: " + how + b"\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith(b"\n"):
            piece = connection.recv(65536)
            assert piece, f"the connection ended after {answer!r}"
            answer += piece
        (status, _, body), *more = clients.parse_http(answer)
        assert status == 200 and not more, answer
        if not self.keep:
            assert connection.recv(1) == b"", "something after the answer"
        return body.split()[0].decode()


def errors(requests):
    return [request.error for request in requests if request.error is not None]


def shares(requests):
    """How many each server answered."""
    counts = {}
    for request in requests:
        if request.server is not None:
            counts[request.server] = counts.get(request.server, 0) + 1
    return counts
