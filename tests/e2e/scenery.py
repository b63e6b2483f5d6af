"""Traffic of a small shop, for pictures of the viewer: several clients, a few errors, a lossy mirror."""

import gzip
import json
import math
import random
import struct
import time
import zlib

from events import Flow



def png(width=96, height=64):
    """A picture of waves."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def colour(x, y):
        wave = 0.5 + 0.5 * math.sin(x / 9 + math.sin(y / 7) * 2)
        return bytes((int(15 + 40 * wave), int(118 + 90 * wave * y / height), int(110 + 80 * wave)))

    lines = b"".join(b"\0" + b"".join(colour(x, y) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    whole = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + whole


PNG = png()
ITEMS = [
    {"id": n, "name": name, "price": price, "stock": n * 7 % 23, "tags": tags}
    for n, name, price, tags in (
        (1, "Mill wheel, oak", 1890.0, ["wood", "large"]),
        (2, "Sluice gate", 420.5, ["steel"]),
        (3, "Bearing, bronze", 88.9, ["spare part"]),
        (4, "Grain hopper", 260.0, ["wood"]),
    )
]
PAGES = ["/", "/catalogue", "/catalogue?page=2", "/about", "/static/app.css", "/static/app.js", "/favicon.ico"]
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


STEPS = [
    "Open the gate slowly.", "Let the wheel come up to speed.", "Listen to the bearings: they should not sing.",
    "Engage the stones.", "Feed the hopper, a little at a time.", "Touch the flour. If it is warm, feed more.",
]


class Shop:
    def __init__(self, worker, seed=7):
        self.worker = worker
        self.random = random.Random(seed)
        self.flows = []

    def headers(self, host):
        return [
            ("Host", host), ("User-Agent", AGENT), ("Accept", "*/*"), ("Accept-Encoding", "gzip, br"),
            ("Cookie", "session=5c1f9a0d77e2; theme=dark"), ("Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
        ]

    def flow(self):
        pick = self.random
        if len(self.flows) < 9 or pick.random() < 0.02:
            client = pick.choice(["192.0.2.17", "192.0.2.44", "192.0.2.130", "2001:db8::1f"])
            server = "2001:db8:80::8" if ":" in client else pick.choice(["198.51.100.8", "198.51.100.9"])
            self.flows.append(Flow(self.worker, client, server=server, service=pick.choice(["shop", "api"])).open())
        flow = pick.choice(self.flows)
        if flow.exchange > 8 + flow.keys["client"]["port"] % 9:
            self.flows.remove(flow)
            flow.close(pick.choice(["fin", "fin", "fin", "reset"]))
            return self.flow()
        return flow

    def exchange(self, answered=True):
        pick, flow = self.random, self.flow()
        api = flow.keys["service"] == "api"
        host = "api.shop.example" if api else "shop.example"
        end = time.time_ns()
        took = int(pick.lognormvariate(1.9, 0.8) * 1e6)
        method, target, body = "GET", pick.choice(PAGES), b""
        if api:
            method, target = pick.choice([("GET", f"/v1/items/{pick.randrange(1, 400)}"), ("GET", "/v1/items"), ("POST", "/v1/orders"), ("PUT", "/v1/cart"), ("DELETE", "/v1/cart")])
            if method in ("POST", "PUT"):
                body = json.dumps({"item": pick.randrange(1, 400), "count": pick.randrange(1, 5), "note": "as soon as possible"}).encode()
        more = [("Content-Type", "application/json")] if body else []
        flow.request(method, target, [*self.headers(host), *more], body, at=end - took, data=True)
        if not answered:
            flow.exchange += 1
            return
        status, reason = 200, "OK"
        chance = pick.random()
        if chance < 0.05:
            status, reason = pick.choice([(404, "Not Found"), (403, "Forbidden"), (429, "Too Many Requests")])
        elif chance < 0.07:
            status, reason = pick.choice([(500, "Internal Server Error"), (502, "Bad Gateway")])
        elif chance < 0.16:
            status, reason = 304, "Not Modified"
        elif method == "POST":
            status, reason = 201, "Created"
        kind = "application/json" if api else "text/html; charset=utf-8"
        if target.endswith((".css", ".js", ".ico")):
            kind = {"css": "text/css", "js": "text/javascript", "ico": "image/png"}[target.rsplit(".")[-1]]
        plain = json.dumps({"page": 1, "total": 37, "items": ITEMS}).encode() if api else b"<!doctype html>\n<title>Shop</title>\n" + b"<p>Wheels, gates and bearings.</p>\n" * pick.randrange(10, 90)
        coding = []
        if kind == "image/png":
            plain = PNG
        elif status != 304:
            plain, coding = gzip.compress(plain), [("Content-Encoding", "gzip")]
        if status == 304:
            plain = b""
        headers = [("Server", "mill/1.4"), ("Date", "Fri, 27 Nov 2026 20:40:11 GMT"), ("Content-Type", kind), *coding,
                   ("Content-Length", str(len(plain))), ("Set-Cookie", "session=5c1f9a0d77e2; Path=/; HttpOnly"), ("Cache-Control", "no-cache")]
        flow.response(status, reason, headers, plain, at=end, took=took // 3, data=True)

    def lossy(self):
        """A download of which the mirror lost a part."""
        flow = Flow(self.worker, "192.0.2.44", service="shop").open()
        flow.request("GET", "/downloads/manual.txt", self.headers("shop.example"), data=True)
        text = "".join(f"{n:4}  {STEPS[n % len(STEPS)]}\n" for n in range(60)).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(text) + 1448}\r\n\r\n".encode()
        flow.data("server", head + text[:900])
        flow.gap("server", 1448)
        flow.data("server", text[900:])
        flow.message(
            "http.response", "server", head.decode().split("\r\n")[0] + "\r\n",
            [("Content-Type", "text/plain"), ("Content-Length", str(len(text) + 1448))], text, time.time_ns(), 900_000,
            status=200, reason="OK", upgrade=False, request=flow.asked, body_length=len(text) + 1448, body_missing=1448,
            holes=[[900, 1448]],
        )
        return flow
