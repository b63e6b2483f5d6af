#!/usr/bin/env python3
"""Prints events of Millrace, one JSON object a line, with length and SHA-256 of their payload; see docs/events.md.

`missed` counts holes in `seq`: events that were dropped, went to another consumer or were not subscribed to."""
import argparse
import hashlib
import json

import zmq

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("endpoint", nargs="?", default="ipc:///run/millrace/events.sock")
options.add_argument("--subscribe", action="append", metavar="TOPIC", help="from a PUB socket; '' for all topics")
given = options.parse_args()

socket = zmq.Context().socket(zmq.PULL if given.subscribe is None else zmq.SUB)
for wanted in given.subscribe or []:
    socket.subscribe(wanted)
socket.connect(given.endpoint)

last, missed = {}, 0
while True:
    topic, meta, payload = socket.recv_multipart()
    event = {"topic": topic.decode(), **json.loads(meta)}
    # Numbers begin anew with each start of the daemon, and each worker counts its own.
    worker = event["run"], event["worker"]
    missed += event["seq"] - last.get(worker, event["seq"] - 1) - 1
    last[worker] = event["seq"]
    event |= {"length_of_payload": len(payload), "sha256": hashlib.sha256(payload).hexdigest(), "missed": missed}
    print(json.dumps(event), flush=True)
