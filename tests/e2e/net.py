"""Network namespaces and the kernel's side of a link.

Everything a test does to the network happens inside namespaces whose names start with `mr-e2e-` and the process id of
the run, so that nothing of the machine is touched and what a crashed run left can be told from a live one.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time

PREFIX = "mr-e2e-"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def run(*command, check=True, timeout=60, stdin="", cwd=None):
    """Runs a command to its end; the error of one that fails says what it printed."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=cwd)
    if check and done.returncode != 0:
        line = " ".join(map(str, command))
        raise AssertionError(f"`{line}` ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


class Namespace:
    """A network namespace with `lo` up."""

    def __init__(self, role, owner=None):
        self.name = f"{PREFIX}{owner or run_id()}-{role}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments, check=True):
        return run("ip", "-n", self.name, *arguments, check=check)

    def run(self, *command, **options):
        """Runs a command in here."""
        return run("ip", "netns", "exec", self.name, *command, **options)

    def mac(self, device):
        return json.loads(self.ip("-j", "link", "show", device).stdout)[0]["address"]

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in here: its new sockets, threads and processes belong to this namespace."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            here = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _enter(here)
            finally:
                os.close(here)
            try:
                yield self
            finally:
                _enter(before)
        finally:
            os.close(before)

    def delete(self):
        delete_namespace(self.name)


def _enter(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def run_id():
    """The process id that names everything of this run: the runner's, or this process's own."""
    return int(os.environ.get("MR_E2E_RUN", os.getpid()))


def delete_namespace(name):
    """Deletes a namespace of ours, ending what still runs in it."""
    assert name.startswith(PREFIX)
    for how in (signal.SIGTERM, signal.SIGKILL):
        pids = run("ip", "netns", "pids", name, check=False).stdout.split()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), how)
        deadline = time.monotonic() + 10
        while pids and time.monotonic() < deadline:
            time.sleep(0.05)
            pids = run("ip", "netns", "pids", name, check=False).stdout.split()
    run("ip", "netns", "del", name, check=False)


def clean(of=None):
    """Removes the namespaces of run `of`, or of every run that is no longer alive. Returns their names."""
    gone = []
    for line in run("ip", "netns", "list").stdout.splitlines():
        name = line.split()[0] if line.split() else ""
        owner = name.removeprefix(PREFIX).split("-")[0]
        if not name.startswith(PREFIX) or not owner.isdigit():
            continue
        if int(owner) == of or of is None and not _is_run(int(owner)):
            delete_namespace(name)
            gone.append(name)
    return gone


def _is_run(pid):
    """Whether this process is a run of these tests (and not another one that got its number)."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            # It may have been started from its own directory, as `./run`.
            return b"e2e" in file.read() or "e2e" in os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False


def link(appliance, client, device="mill", peer="client", qpairs=1):
    """A veth pair between two namespaces, with `peer` sending whole packets with whole checksums.

    A veth passes packets on as the sender's stack made them; with offloads on that would be without checksums and
    longer than any frame, and not what comes over a wire.
    """
    queues = ("numtxqueues", str(qpairs), "numrxqueues", str(qpairs))
    appliance.ip("link", "add", device, *queues, "type", "veth", "peer", "name", peer, *queues, "netns", client.name)
    for feature in ("tx", "rx", "tso", "gso", "gro"):
        client.run("ethtool", "-K", peer, feature, "off")
    # The appliance's end belongs to DPDK: the kernel must not speak on it.
    appliance.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6")
    appliance.ip("link", "set", device, "up")
    # No duplicate address detection: addresses are usable at once.
    client.run("sh", "-c", f"echo 0 > /proc/sys/net/ipv6/conf/{peer}/accept_dad")
    client.ip("link", "set", peer, "up")
