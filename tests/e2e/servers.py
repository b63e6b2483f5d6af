"""Servers behind the proxy: nginx and haproxy as they come, and peers of Python's that do what those rarely do.

Each real one is a process of its own with its own configuration and directory, started in a namespace and ended by its
process id; nothing of the machine's own instances is used or touched.
"""

import contextlib
import signal
import socket
import subprocess
import threading
import time

from appliance import run_dir

START_SECONDS = 10


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def endpoint(address, port):
    """Address and port as configurations have them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Process:
    """A server process in a namespace."""

    # What it listens on: (address, port).
    listens = ()

    def __init__(self, namespace, name):
        self.namespace, self.name = namespace, name
        self.directory = run_dir() / f"{namespace.name}-{name}"
        self.directory.mkdir(exist_ok=True)
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        """Starts it and waits until it accepts connections."""
        command = ["ip", "netns", "exec", self.namespace.name, *map(str, self.command())]
        with open(self.directory / "out.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        for address, port in self.listens:
            while not self.accepts(address, port):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{self.name} does not start: {self.printed()}")
                time.sleep(0.02)
        return self

    def printed(self):
        return "".join(path.read_text(errors="replace") for path in self.directory.glob("*.log"))

    def accepts(self, address, port):
        with self.namespace.entered(), contextlib.closing(socket.socket(family(address))) as s:
            s.settimeout(1)
            return s.connect_ex((address, port)) == 0

    def stop(self, how=signal.SIGTERM):
        """Ends it; when this returns nothing accepts connections any more."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class Nginx(Process):
    """nginx: `/` says its name and the request, `/who` the addresses it sees, `/files/` takes and gives files."""

    def __init__(self, namespace, name, *listens, proxy_protocol=()):
        super().__init__(namespace, name)
        self.listens, self.proxy_protocol = [*listens, *proxy_protocol], proxy_protocol
        self.files = self.directory / "files"
        self.files.mkdir(exist_ok=True)
        self.log = self.directory / "access"

    def command(self):
        lines = []
        for listen in self.listens:
            option = " proxy_protocol" if listen in self.proxy_protocol else ""
            lines.append(f"listen {endpoint(*listen)} backlog=4096{option};")
        temporary = "\n".join(
            f"    {kind}_temp_path {self.directory}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        seen = "$remote_addr $remote_port $server_addr $server_port"
        seen += " $proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"
        conf = self.directory / "nginx.conf"
        conf.write_text(f"""
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {self.directory}/pid;
error_log {self.directory}/error.log warn;
events {{ worker_connections 16384; }}
http {{
{temporary}
    log_format seen "$request_uri {seen}";
    access_log {self.log} seen;
    default_type text/plain;
    sendfile on;
    keepalive_requests 1000000;
    client_max_body_size 0;
    server {{
        {" ".join(lines)}
        location / {{ return 200 "{self.name} $request_uri\\n"; }}
        location /who {{ return 200 "{seen}\\n"; }}
        location /files/ {{ root {self.directory}; dav_methods PUT; access_log off; }}
    }}
}}
""")
        return "nginx", "-e", self.directory / "error.log", "-p", self.directory, "-c", conf

    def logged(self, uri):
        """What the access log says of requests for this URI: the addresses and ports it saw, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == uri]


class Haproxy(Process):
    """haproxy; it answers each request with the addresses it sees, on one port and behind a PROXY protocol header."""

    def __init__(self, namespace, name, plain, behind_header):
        super().__init__(namespace, name)
        self.plain, self.behind_header = plain, behind_header
        self.listens = [plain, behind_header]

    def command(self):
        conf = self.directory / "haproxy.cfg"
        conf.write_text(f"""
global
    nbthread 1
    maxconn 2000
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 1s
frontend all
    bind {endpoint(*self.plain)}
    bind {endpoint(*self.behind_header)} accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]\\n"
""")
        return "haproxy", "-db", "-f", conf


class Peer(threading.Thread):
    """A listening socket whose connections are each handed to `handler(connection, peer)` on a thread of its own."""

    def __init__(self, namespace, address, port, handler, backlog=128):
        super().__init__(daemon=True)
        self.handler, self.errors, self.count = handler, [], 0
        self.accepted = []
        with namespace.entered():
            self.listener = socket.create_server((address, port), family=family(address), backlog=backlog)
        self.start()

    def run(self):
        while True:
            try:
                connection, address = self.listener.accept()
            except OSError:
                return
            self.accepted.append(address)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            connection.settimeout(60)
            try:
                self.handler(connection, self)
            except OSError as error:
                self.errors.append(error)

    def close(self):
        # Wakes up who is in `accept`, too.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def echoing(connection, _):
    while data := connection.recv(65536):
        connection.sendall(data)


class Datagrams(threading.Thread):
    """A UDP server: each datagram is answered by `answer(data, from)`; who sent is remembered."""

    def __init__(self, namespace, address, port, answer):
        super().__init__(daemon=True)
        self.answer, self.seen, self.going = answer, [], True
        with namespace.entered():
            self.socket = socket.socket(family(address), socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, port))
        self.socket.settimeout(0.2)
        self.start()

    def run(self):
        while self.going:
            try:
                data, sender = self.socket.recvfrom(65536)
                self.seen.append(sender[:2])
                self.socket.sendto(self.answer(data, sender), sender)
            except TimeoutError:
                continue
            except OSError:
                # An ICMP error for an earlier answer.
                continue

    def close(self):
        self.going = False
        self.join(5)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

