"""Makes events as docs/events.md describes them, and pushes them over ZeroMQ: a daemon's side for tests of consumers."""

import itertools
import json
import time

import zmq

SIDE = {
    "packets": 8, "bytes": 0, "retransmitted": 0, "out_of_order": 0, "conflicts": 0, "gaps": 0, "missing": 0,
    "zero_windows": 0, "zero_window_time": 0, "rtt_min": 180_000, "rtt_max": 910_000, "rtt_mean": 402_500,
    "rtt_samples": 4,
}


class Worker:
    """One worker of one run of a daemon: numbers its events, and can lose some."""

    def __init__(self, socket, run="5f0c2a9be1d34786", number=0):
        self.socket = socket
        self.run = run
        self.number = number
        self.seq = 0
        self.dropped = 0

    def emit(self, topic, flow, payload=b"", at=None, **more):
        self.seq += 1
        meta = {
            "v": 1, "run": self.run, "worker": self.number, "seq": self.seq, "dropped": self.dropped,
            "time": at or time.time_ns(), "protocol": "tcp", **flow.keys, **more,
        }
        text = json.dumps(meta, ensure_ascii=False).encode()
        self.socket.send_multipart([topic.encode(), text, payload])

    def lose(self, count):
        """Events that nobody gets; the next one tells."""
        self.seq += count
        self.dropped += count


class Flow:
    """A connection: emits what an observer of it would."""

    numbers = itertools.count(1)

    def __init__(self, worker, client="192.0.2.17", port=None, server="198.51.100.8", server_port=80, service="web"):
        self.worker = worker
        number = next(Flow.numbers)
        self.keys = {
            "flow": f"{worker.number:x}-{number:x}", "service": service, "action": "monitor", "ingress": "tap0",
            "vlan": 0, "client": {"address": client, "port": port or 40000 + number % 20000},
            "server": {"address": server, "port": server_port},
        }
        self.offset = {"client": 0, "server": 0}
        self.gaps = {"client": [0, 0], "server": [0, 0]}
        self.exchange = 0
        self.began = time.time_ns()

    def open(self, midstream=False):
        self.worker.emit("flow.open", self, midstream=midstream)
        return self

    def data(self, direction, payload, at=None):
        offset = self.offset[direction]
        self.worker.emit("tcp.data", self, payload, at, direction=direction, offset=offset, length=len(payload))
        self.offset[direction] += len(payload)

    def gap(self, direction, length, cause="acked"):
        offset = self.offset[direction]
        self.worker.emit("gap", self, direction=direction, offset=offset, length=length, cause=cause)
        self.offset[direction] += length
        self.gaps[direction][0] += 1
        self.gaps[direction][1] += length

    def request(self, method="GET", target="/", headers=(), body=b"", at=None, took=200_000, **more):
        at = at or time.time_ns()
        self.asked = {"method": method, "target": target, "begin": at - took, "end": at}
        head = f"{method} {target} HTTP/1.1\r\n"
        self.message("http.request", "client", head, headers, body, at, took, method=method, target=target, **more)

    def response(self, status=200, reason="OK", headers=(), body=b"", at=None, took=300_000, **more):
        head = f"HTTP/1.1 {status} {reason}\r\n"
        more = {"upgrade": False, "request": self.asked, **more}
        at = at or time.time_ns()
        self.message("http.response", "server", head, headers, body, at, took, status=status, reason=reason, **more)
        self.exchange += 1

    def message(self, topic, direction, head, headers, body, at, took, data=False, **more):
        headers = [list(pair) for pair in headers]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        wire = (head + lines + "\r\n").encode("latin-1")
        keys = {
            "direction": direction, "exchange": self.exchange, "offset": self.offset[direction], "begin": at - took,
            "version": "1.1", "headers": headers, "trailers": [], "framing": "length" if body else "none",
            "head_length": len(wire), "body_length": len(body), "body_left_out": 0, "body_missing": 0, "holes": [],
            "complete": True, "resync": False,
        }
        if data:
            self.data(direction, wire + body, at)
        self.worker.emit(topic, self, body, at, **{**keys, **more})

    def close(self, reason="fin"):
        sent = {}
        for side in ("client", "server"):
            gaps, missing = self.gaps[side]
            sent[side] = {**SIDE, "bytes": self.offset[side] - missing, "gaps": gaps, "missing": missing}
        state = {"client": "TIME-WAIT", "server": "CLOSED"}
        duration = time.time_ns() - self.began
        self.worker.emit(
            "flow.close", self, reason=reason, state=state, duration=duration, handshake_rtt=612_000, sent=sent
        )


def push(endpoint):
    """A PUSH socket bound like the daemon's; it waits for no consumer for long."""
    socket = zmq.Context.instance().socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, 200_000)
    socket.setsockopt(zmq.SNDTIMEO, 20_000)
    socket.setsockopt(zmq.LINGER, 0)
    socket.bind(endpoint)
    return socket
