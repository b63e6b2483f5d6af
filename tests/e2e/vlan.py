"""A VLAN interface of the kernel's side; on a kernel without 802.1Q, a tap whose frames are tagged by hand."""

import fcntl
import os
import select
import socket
import struct
import threading

ETH_P_ALL = 3
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
TP_STATUS_VLAN_VALID = 1 << 4


def vlan_device(namespace, parent, vlan):
    """Makes and sets up `PARENT.VLAN`; returns its name and what must be called in the end."""
    name = f"{parent}.{vlan}"
    made = namespace.ip(
        "link", "add", "link", parent, "name", name, "type", "vlan", "id", str(vlan), check=False
    )
    tagger = None
    if made.returncode != 0:
        with namespace.entered():
            tagger = Tagger(parent, name, vlan)
        tagger.start()
    namespace.ip("link", "set", name, "up")
    return name, (lambda: tagger.finish() if tagger else None)


class Tagger(threading.Thread):
    """Carries frames between a tap and one VLAN of a device."""

    def __init__(self, parent, name, vlan):
        super().__init__(daemon=True)
        self.vlan, self.done = vlan, False
        self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.wire.bind((parent, ETH_P_ALL))
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        # The kernel takes tags off even where it has no VLANs; they come beside the frame.
        self.wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)

    def run(self):
        tag = struct.pack("!HH", 0x8100, self.vlan)
        while not self.done:
            ready, _, _ = select.select([self.tap, self.wire], [], [], 0.2)
            if self.tap in ready:
                frame = os.read(self.tap, 65536)
                self.wire.send(frame[:12] + tag + frame[12:])
            if self.wire in ready:
                frame, extra, _, address = self.wire.recvmsg(65536, 256)
                if address[2] != PACKET_OUTGOING and self.is_mine(extra):
                    os.write(self.tap, frame)

    def is_mine(self, extra):
        for level, kind, data in extra:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data)
                return bool(status & TP_STATUS_VLAN_VALID) and tci & 0x0FFF == self.vlan
        return False

    def finish(self):
        self.done = True
        self.join(5)
        self.wire.close()
        os.close(self.tap)
