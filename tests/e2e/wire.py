"""Raw frames: sent as they are made, received as they come. Frames are built with scapy (Debian's python3-scapy)."""

import logging
import socket
import time

# Scapy looks for routes and addresses when imported, and warns where a namespace has none.
logging.getLogger("scapy").setLevel(logging.CRITICAL)

from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether  # noqa: E402
from scapy.packet import Raw, fuzz  # noqa: E402

__all__ = [
    "ARP", "Dot1Q", "Ether", "ICMP", "ICMPv6EchoRequest", "ICMPv6NDOptSrcLLAddr", "ICMPv6ND_NS", "ICMPv6ND_RA",
    "IP", "IPv6", "IPv6ExtHdrDestOpt", "IPv6ExtHdrFragment", "IPv6ExtHdrHopByHop", "IPv6ExtHdrRouting", "Raw", "TCP",
    "UDP", "Wire", "fuzz",
]  # fmt: skip

ETH_P_ALL = 3
PACKET_OUTGOING = 4


class Wire:
    """A device's raw side, in the namespace of the calling thread."""

    def __init__(self, device):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((device, ETH_P_ALL))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frame):
        self.socket.send(bytes(frame))

    def forget(self):
        """Throws away what has come so far."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(65536)
        except BlockingIOError:
            pass

    def frames(self, seconds):
        """Yields each frame that comes within so many seconds; not what this machine sends."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, (_, _, kind, _, _) = self.socket.recvfrom(65536)
            except TimeoutError:
                return
            if kind != PACKET_OUTGOING:
                yield data

    def wait_for(self, wanted, seconds=3):
        """The first frame, dissected, for which `wanted` is true; None if none comes."""
        for data in self.frames(seconds):
            frame = Ether(data)
            if wanted(frame):
                return frame
        return None
