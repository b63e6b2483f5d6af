"""What passes a device: TCP segments of both directions, with the kernel's times; and a station that is only a MAC."""

import dataclasses
import ipaddress
import socket
import struct
import threading

from wire import ETH_P_ALL, PACKET_OUTGOING

SO_TIMESTAMPNS = 35
ETH_P_IP, ETH_P_IPV6, ETH_P_ARP = 0x0800, 0x86DD, 0x0806
FLAGS = "FSRPAUEC"


@dataclasses.dataclass(frozen=True)
class Segment:
    """A TCP segment; `sent` says whether the side the device belongs to sent it."""

    time: float
    sent: bool
    source: str
    source_port: int
    destination: str
    destination_port: int
    flags: str
    length: int

    def has(self, flags):
        return set(flags) <= set(self.flags)


def parse(frame):
    """The TCP part of a frame, as (addresses and ports, flags, payload length); None for others."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == ETH_P_IP and frame[23] == socket.IPPROTO_TCP:
        at, end = 14 + (frame[14] & 15) * 4, 14 + int.from_bytes(frame[16:18], "big")
        source, destination = frame[26:30], frame[30:34]
    elif kind == ETH_P_IPV6 and frame[20] == socket.IPPROTO_TCP:
        at, end = 54, 54 + int.from_bytes(frame[18:20], "big")
        source, destination = frame[22:38], frame[38:54]
    else:
        return None
    source_port, destination_port = struct.unpack_from("!HH", frame, at)
    flags = "".join(name for bit, name in enumerate(FLAGS) if frame[at + 13] >> bit & 1)
    ends = str(ipaddress.ip_address(source)), source_port, str(ipaddress.ip_address(destination)), destination_port
    return ends, flags, end - at - (frame[at + 12] >> 4) * 4


class Capture(threading.Thread):
    """Records the segments from and to one TCP port, in the namespace of who makes it."""

    def __init__(self, device, port):
        super().__init__(daemon=True)
        self.port, self.going, self.segments = port, True, []
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind((device, ETH_P_ALL))
        self.socket.settimeout(0.1)

    def run(self):
        while self.going:
            try:
                frame, extra, _, address = self.socket.recvmsg(2048, 128)
            except TimeoutError:
                continue
            parsed = parse(frame)
            if parsed is None or self.port not in (parsed[0][1], parsed[0][3]):
                continue
            (seconds, nanoseconds) = struct.unpack("qq", extra[0][2])
            ends, flags, length = parsed
            sent = address[2] == PACKET_OUTGOING
            self.segments.append(Segment(seconds + nanoseconds / 1e9, sent, *ends, flags, length))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.going = False
        self.join(5)
        self.socket.close()

    def find(self, flags, sent=None, without=""):
        """Segments with these flags, and none of those `without`; of one direction if `sent` says which."""
        return [
            s
            for s in list(self.segments)
            if s.has(flags) and not set(without) & set(s.flags) and sent in (None, s.sent)
        ]


class Silent(threading.Thread):
    """A station that answers ARP for one IPv4 address and then says nothing; what SYNs it gets is counted."""

    MAC = bytes.fromhex("020000000099")

    def __init__(self, namespace, device, address):
        super().__init__(daemon=True)
        self.address, self.going, self.syns = socket.inet_aton(address), True, []
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind((device, ETH_P_ALL))
        self.socket.settimeout(0.1)

    def run(self):
        while self.going:
            try:
                frame, (_, _, kind, _, _) = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            if kind == PACKET_OUTGOING:
                continue
            is_request = frame[12:14] == ETH_P_ARP.to_bytes(2, "big") and frame[20:22] == b"\0\x01"
            if is_request and frame[38:42] == self.address:
                self.answer(frame)
            elif frame[:6] == self.MAC and (parsed := parse(frame)) and "S" in parsed[1]:
                self.syns.append(parsed[0][1])

    def answer(self, request):
        ethernet = request[6:12] + self.MAC + request[12:14]
        reply = request[14:20] + b"\0\x02" + self.MAC + self.address + request[22:32]
        self.socket.send(ethernet + reply)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.going = False
        self.join(5)
        self.socket.close()
