"""TRex, advanced stateful (ASTF): HTTP requests to port 80; Millrace is the server, so only TRex's clients run.

t-rex-64 -i --astf --astf-client-mask 0x1
start -f scripts/trex/http.py -m 100000 -t requests=1      connections a second; requests on each before it closes
"""

import argparse

from trex.astf.api import (
    ASTFAssociationRule,
    ASTFIPGen,
    ASTFIPGenDist,
    ASTFIPGenGlobal,
    ASTFProfile,
    ASTFProgram,
    ASTFTCPClientTemplate,
    ASTFTCPServerTemplate,
    ASTFTemplate,
)

SERVER = "10.80.0.1"
CLIENTS = ["10.80.16.0", "10.80.31.255"]
REQUEST = b"GET / HTTP/1.1\r\nHost: 10.80.0.1\r\n\r\n"
# What conf/bench.yaml answers; the client waits for as many bytes.
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhello from millrace\n"


class Http:
    """Connect, some requests and their answers, close."""

    def get_profile(self, tunables=(), **_):
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--requests", type=int, default=1, help="requests on each connection")
        args = parser.parse_args(list(tunables))

        client, server = ASTFProgram(), ASTFProgram()
        for _ in range(args.requests):
            client.send(REQUEST)
            client.recv(len(ANSWER), clear=True)
            # Never run: the template wants both sides.
            server.recv(len(REQUEST), clear=True)
            server.send(ANSWER)

        addresses = ASTFIPGen(
            glob=ASTFIPGenGlobal(ip_offset="1.0.0.0"),
            dist_client=ASTFIPGenDist(ip_range=CLIENTS, distribution="seq"),
            dist_server=ASTFIPGenDist(ip_range=[SERVER, SERVER], distribution="seq"),
        )
        template = ASTFTemplate(
            client_template=ASTFTCPClientTemplate(program=client, ip_gen=addresses, port=80, cps=1),
            server_template=ASTFTCPServerTemplate(program=server, assoc=ASTFAssociationRule(port=80)),
        )
        return ASTFProfile(default_ip_gen=addresses, templates=template)


def register():
    return Http()
