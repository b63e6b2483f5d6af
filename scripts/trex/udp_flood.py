"""TRex, stateless: UDP datagrams in frames of one size to one port.

start -f scripts/trex/udp_flood.py -m 5mpps -t port=7          echo (conf/bench.yaml); port=9999: no service, dropped
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


class UdpFlood:
    """Frames of `size` bytes, FCS included, from 4,096 addresses and 1,024 ports each."""

    def get_streams(self, direction=0, tunables=(), **_):
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--port", type=int, default=7, help="destination port")
        parser.add_argument("--size", type=int, default=64, help="bytes of a frame, FCS included")
        args = parser.parse_args(list(tunables))
        if direction != 0:
            return []

        base = Ether() / IP(src=FIRST_CLIENT, dst=SERVER) / UDP(sport=1024, dport=args.port, chksum=0)
        payload = max(0, args.size - FCS - len(base)) * b"x"
        fields = [
            STLVmFlowVar("src", FIRST_CLIENT, LAST_CLIENT, size=4, op="random"),
            STLVmWrFlowVar("src", pkt_offset="IP.src"),
            STLVmFlowVar("sport", 1024, 2047, size=2, op="inc"),
            STLVmWrFlowVar("sport", pkt_offset="UDP.sport"),
            # The UDP checksum is left out (zero), which IPv4 allows.
            STLVmFixIpv4(offset="IP"),
        ]
        packet = STLPktBuilder(pkt=base / payload, vm=STLScVmRaw(fields, cache_size=255))
        return [STLStream(packet=packet, mode=STLTXCont(pps=1))]


def register():
    return UdpFlood()
