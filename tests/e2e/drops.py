"""Counting drops exactly: what a handful of frames is dropped under, with nothing else moving the counters."""

from rig import STRANGER_MAC
from wire import Ether, Wire


class ExactDrops:
    """For cases whose kernel side says nothing by itself."""

    @classmethod
    def quiet(cls, namespace):
        """The kernel neither solicits nor advertises on the device, and knows the appliance without asking."""
        namespace.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{cls.device}/disable_ipv6")

    @classmethod
    def open_wire(cls):
        cls.wire = Wire(cls.device)
        cls.addClassCleanup(cls.wire.socket.close)
        cls.mac = cls.appliance_mac()
        # What was said at start is over.
        cls.appliance.at_rest()

    def frame(self, packet, **fields):
        return Ether(**{"src": STRANGER_MAC, "dst": self.mac, **fields}) / packet

    def drops_after(self, frames, count, seconds):
        """Sends frames and returns what was dropped, by reason, once `count` packets have been."""
        before, received, _ = self.appliance.drops()
        self.wire.forget()
        for frame in frames:
            self.wire.send(frame)

        def gone():
            reasons, now, _ = self.appliance.drops()
            more = sum(reasons.values()) - sum(before.values())
            return reasons if more >= count and now - received >= len(frames) else None

        after = self.eventually(gone, f"{count} packets dropped (before: {before})", seconds)
        return {reason: n - before.get(reason, 0) for reason, n in after.items() if n != before.get(reason, 0)}

    def expect(self, reason, *frames, seconds=5):
        """Each of these frames is dropped, for this reason."""
        self.assertEqual(self.drops_after(frames, len(frames), seconds), {reason: len(frames)})
