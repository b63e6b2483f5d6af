"""TRex, stateless: a mix of sizes (IMIX, 7:4:1) to the echo port, with a share that no service takes.

start -f scripts/trex/udp_mixed.py -m 10gbps -t unmatched=10
"""

import argparse

from trex_stl_lib.api import (
    IP,
    UDP,
    Ether,
    STLPktBuilder,
    STLScVmRaw,
    STLStream,
    STLTXCont,
    STLVmFixIpv4,
    STLVmFlowVar,
    STLVmWrFlowVar,
)

SERVER = "10.80.0.1"
FIRST_CLIENT, LAST_CLIENT = "10.80.16.0", "10.80.31.255"
FCS = 4
# Bytes of a frame, FCS included, and its weight.
MIX = ((64, 7), (594, 4), (1518, 1))
ECHO, NOBODY = 7, 9999


class UdpMixed:
    """Three sizes, two ports."""

    def get_streams(self, direction=0, tunables=(), **_):
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--unmatched", type=int, default=0, help="percent of packets to a port without a service")
        args = parser.parse_args(list(tunables))
        if direction != 0:
            return []
        shares = ((ECHO, 100 - args.unmatched), (NOBODY, args.unmatched))
        return [self.stream(size, port, weight * share) for size, weight in MIX for port, share in shares if share > 0]

    def stream(self, size, port, pps):
        """Frames of `size` bytes to `port`, `pps` of them for each unit of the multiplier."""
        base = Ether() / IP(src=FIRST_CLIENT, dst=SERVER) / UDP(sport=1024, dport=port, chksum=0)
        payload = max(0, size - FCS - len(base)) * b"x"
        fields = [
            STLVmFlowVar("src", FIRST_CLIENT, LAST_CLIENT, size=4, op="random"),
            STLVmWrFlowVar("src", pkt_offset="IP.src"),
            STLVmFlowVar("sport", 1024, 65535, size=2, op="random"),
            STLVmWrFlowVar("sport", pkt_offset="UDP.sport"),
            STLVmFixIpv4(offset="IP"),
        ]
        packet = STLPktBuilder(pkt=base / payload, vm=STLScVmRaw(fields, cache_size=255))
        return STLStream(packet=packet, mode=STLTXCont(pps=pps))


def register():
    return UdpMixed()
