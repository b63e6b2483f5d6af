"""millrace-viewer: what is pushed to it is what its API tells, within its bounds."""

import gzip
import json
import os
import socket
import subprocess
import tempfile
import unittest
import urllib.request

import events
import zmq
from appliance import run_dir
from viewing import VIEWER, Viewer


class ViewerCase(unittest.TestCase):
    def viewer(self, *options, **more):
        viewer = Viewer(*options, **more)
        self.addCleanup(viewer.kill)
        return viewer


class Events(ViewerCase):
    def test_an_exchange_with_its_flow_and_bodies(self):
        viewer = self.viewer()
        flow = events.Flow(events.Worker(viewer.socket)).open()
        body = gzip.compress(b"hello over gzip")
        flow.request("POST", "/form?x=1", [("Host", "shop.example"), ("Authorization", "Basic dTpw")], b"a=1")
        flow.response(201, "Created", [("Content-Encoding", "gzip"), ("Content-Type", "text/plain")], body)
        flow.close()
        viewer.received(4)
        row = viewer.json("/api/exchanges")["rows"][0]
        self.assertEqual((row["method"], row["host"], row["path"], row["status"]), ("POST", "shop.example", "/form?x=1", 201))
        detail = viewer.json(f"/api/exchanges/{row['id']}")
        self.assertIn(["Authorization", "Basic ••••••", True], detail["request"]["headers"])
        shown = viewer.json(f"/api/exchanges/{row['id']}", reveal=1)
        self.assertIn(["Authorization", "Basic dTpw", False], shown["request"]["headers"])
        at = f"/api/exchanges/{row['id']}/response/body"
        self.assertEqual(viewer.get(at)[2], body)
        self.assertEqual(viewer.get(at, decode=1)[2], b"hello over gzip")
        self.assertEqual(viewer.get(f"/api/exchanges/{row['id']}/request/body")[2], b"a=1")
        known = viewer.json("/api/flows")["rows"][0]
        self.assertEqual((known["close"]["reason"], known["exchanges"], known["name"]), ("fin", 1, flow.keys["flow"]))
        viewer.stop()

    def test_bytes_in_headers_come_through(self):
        viewer = self.viewer()
        flow = events.Flow(events.Worker(viewer.socket)).open()
        value = "Grüße".encode().decode("latin-1")
        flow.request("GET", "/", [("Host", "h"), ("X-Text", value)])
        viewer.received(2)
        detail = viewer.json("/api/exchanges/1")
        self.assertIn(["X-Text", value, False], detail["request"]["headers"])
        viewer.stop()

    def test_losses_are_told_by_worker(self):
        viewer = self.viewer()
        workers = [events.Worker(viewer.socket, number=number) for number in (0, 1)]
        for worker in workers:
            events.Flow(worker).open()
        workers[1].lose(12)
        events.Flow(workers[1]).open()
        viewer.received(3)
        lost = viewer.json("/api/state")["lost"]
        self.assertEqual(lost["total"], 12)
        self.assertEqual([(one["worker"], one["missing"], one["dropped"]) for one in lost["workers"]], [(0, 0, 0), (1, 12, 12)])
        self.assertIn('millrace_viewer_events_lost_total{worker="1"} 12', viewer.get("/metrics")[2].decode())
        viewer.stop()

    def test_what_is_no_event_is_counted_and_disturbs_nothing(self):
        viewer = self.viewer()
        for message in (
            [b"flow.open"],
            [b"flow.open", b"{", b""],
            [b"flow.open", b'{"v": 2}', b""],
            [b"flow.open", b"{}", b"", b"too many"],
            [b"\xff" * 100, b"\xff" * 100, b"\xff" * 100],
        ):
            viewer.socket.send_multipart(message)
        flow = events.Flow(events.Worker(viewer.socket)).open()
        flow.worker.emit("no.topic", flow)
        flow.request()
        viewer.received(2)
        refused = viewer.json("/api/state")["refused"]
        self.assertEqual(refused, {"frames": 2, "topic": 1, "version": 1, "meta": 2})
        viewer.stop()

    def test_the_oldest_make_room_within_both_bounds(self):
        viewer = self.viewer("--events", "1000", "--bytes", "1M")
        worker = events.Worker(viewer.socket)
        flow = events.Flow(worker).open()
        for number in range(2000):
            flow.request("GET", f"/{number}")
            flow.response(200, "OK", body=b"x")
        viewer.received(4001)
        store = viewer.json("/api/state")["store"]
        self.assertLessEqual(store["events"], 1000)
        self.assertLessEqual(store["bytes"], 1 << 20)
        self.assertEqual(store["evicted"], 4001 - store["events"])
        self.assertEqual(viewer.json("/api/exchanges", limit=1)["rows"][0]["path"], "/1999")
        self.assertEqual(viewer.get("/api/exchanges/1")[0], 404)
        flow.response(200, "OK", body=bytes(900_000))
        viewer.received(4002)
        store = viewer.json("/api/state")["store"]
        self.assertLessEqual(store["bytes"], 1 << 20)
        self.assertLess(store["events"], 300)
        viewer.stop()

    def test_a_bomb_stops_at_the_limit(self):
        viewer = self.viewer("--decode-limit", "1M")
        flow = events.Flow(events.Worker(viewer.socket)).open()
        flow.request()
        flow.response(headers=[("Content-Encoding", "gzip")], body=gzip.compress(bytes(200 << 20)))
        viewer.received(3)
        status, headers, body = viewer.get("/api/exchanges/1/response/body", decode=1)
        self.assertEqual((status, len(body)), (200, 1 << 20))
        self.assertIn("limit", headers["x-millrace-stopped"])
        self.assertEqual(viewer.metric("decode_limit_total"), 1)
        viewer.stop()

    def test_a_publisher_and_a_daemon_that_connects(self):
        directory = run_dir()
        endpoint = f"ipc://{directory}/pub.ipc"
        publisher = zmq.Context.instance().socket(zmq.PUB)
        publisher.bind(endpoint)
        viewer = self.viewer("--connect", endpoint, "--subscribe", connect=False)
        worker = events.Worker(publisher)
        flow = events.Flow(worker)
        for _ in range(100):
            flow.open()
            if sum(viewer.json("/api/state")["received"].values()):
                break
        else:
            self.fail("nothing came from the publisher")
        # What was sent before the subscription is no loss of it.
        self.assertEqual(viewer.json("/api/state")["lost"]["total"], 0)
        viewer.stop()
        publisher.close(0)
        bound = f"ipc://{directory}/bound.ipc"
        viewer = self.viewer("--bind", bound, connect=False)
        pusher = zmq.Context.instance().socket(zmq.PUSH)
        pusher.connect(bound)
        events.Flow(events.Worker(pusher)).open()
        viewer.received(1)
        viewer.stop()
        pusher.close(0)


class Captures(ViewerCase):
    """The capture file, read by another's eyes."""

    def follow(self, viewer, flow):
        status, _, capture = viewer.get(f"/api/flows/{flow}/pcap", reveal=1)
        self.assertEqual(status, 200)
        with tempfile.NamedTemporaryFile(suffix=".pcap", dir=run_dir()) as file:
            file.write(capture)
            file.flush()
            read = ["tshark", "-n", "-r", file.name, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
            bad = subprocess.run([*read, "-Y", "tcp.checksum.status == 0 || ip.checksum.status == 0"], capture_output=True, text=True, check=True)
            self.assertEqual(bad.stdout, "")
            done = subprocess.run([*read, "-q", "-z", "follow,tcp,raw,0"], capture_output=True, text=True, check=True)
        # Lines of hexadecimal digits; those of the server begin with a tab.
        lines = [line for line in done.stdout.splitlines() if line.strip() and all(c in "0123456789abcdef" for c in line.strip())]
        sides = [[line for line in lines if line.startswith("\t") == server] for server in (False, True)]
        return [bytes.fromhex("".join(line.strip() for line in side)) for side in sides]

    def test_tshark_follows_the_stream_to_the_same_bytes(self):
        for client, server in (("192.0.2.17", "198.51.100.8"), ("2001:db8::1", "2001:db8::2")):
            viewer = self.viewer()
            flow = events.Flow(events.Worker(viewer.socket), client, server=server).open()
            asked = [os.urandom(700) for _ in range(20)]
            answers = [os.urandom(9000) for _ in range(20)]
            for one, other in zip(asked, answers):
                flow.data("client", one)
                flow.data("server", other)
            flow.close()
            viewer.received(42)
            self.assertEqual(self.follow(viewer, 1), [b"".join(asked), b"".join(answers)])
            viewer.stop()

    def test_tshark_sees_the_gap(self):
        viewer = self.viewer()
        flow = events.Flow(events.Worker(viewer.socket)).open()
        flow.data("client", b"ask")
        flow.data("server", b"before")
        flow.gap("server", 1448)
        flow.data("server", b"behind")
        viewer.received(5)
        client, server = self.follow(viewer, 1)
        self.assertEqual(client, b"ask")
        self.assertTrue(server.startswith(b"before") and server.endswith(b"behind"), server)
        self.assertIn(b"1448 bytes missing", server)
        viewer.stop()


class Operation(ViewerCase):
    def refused(self, *options):
        done = subprocess.run([VIEWER, *options], capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stderr

    def test_wrong_usage_ends_with_2(self):
        for options in (["--events", "x"], ["--bytes", "1X"], ["--connect", "nonsense"], ["--listen", "here"], ["--nothing"]):
            code, said = self.refused(*options)
            self.assertEqual(code, 2, said)
            self.assertIn(options[-1], said)

    def test_what_cannot_be_opened_ends_with_1_and_says_so(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            code, said = self.refused("--listen", "127.0.0.1:%d" % taken.getsockname()[1])
            self.assertEqual(code, 1)
            self.assertIn("choose another port", said)
        code, said = self.refused("--listen", "127.0.0.1:0", "--bind", "ipc:///nowhere/at/all")
        self.assertEqual(code, 1)
        self.assertIn("cannot bind ipc:///nowhere/at/all", said)
        code, said = self.refused("--listen", "127.0.0.1:0", "--token-file", "/nowhere/token")
        self.assertEqual(code, 1)
        self.assertIn("cannot read the token", said)

    def test_a_token_is_made_up_where_others_may_come(self):
        viewer = self.viewer(listen="0.0.0.0:0")
        token = viewer.page.partition("#token=")[2]
        self.assertEqual(len(token), 64)
        viewer.url = viewer.url.replace("0.0.0.0", "127.0.0.1")
        self.assertEqual(viewer.get("/api/state")[0], 401)
        self.assertEqual(viewer.get("/metrics", token="0" * 64)[0], 401)
        self.assertEqual(viewer.get("/api/state", token=token)[0], 200)
        viewer.stop()

    def test_a_page_of_another_name_gets_nothing(self):
        viewer = self.viewer()
        request = urllib.request.Request(viewer.url + "api/state", headers={"Host": "rebound.example"})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        self.assertEqual(caught.exception.code, 421)
        self.assertIn("localhost", json.loads(caught.exception.read())["error"])
        viewer.stop()

    def test_sigterm_ends_it_with_streams_open(self):
        viewer = self.viewer()
        with urllib.request.urlopen(viewer.url + "api/live", timeout=10) as stream:
            self.assertIn(b"event: state", stream.readline())
            viewer.stop()
