"""Runs the tests of one file (for tests/e2e/run): a line for each; what went wrong, with the logs, at the end."""

import ctypes
import faulthandler
import json
import pathlib
import signal
import sys
import time
import unittest

import appliance

LOG_LINES = 40


class Lines(unittest.TestResult):
    """A line for each test, as soon as it is done."""

    def __init__(self):
        super().__init__()
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.began = {}
        # Of the appliances that were there when a test failed.
        self.logs = set()

    def startTest(self, test):
        super().startTest(test)
        self.began[test.id()] = time.monotonic()

    def line(self, verdict, test, more=""):
        name = test.id().split(".", 1)[-1] if hasattr(test, "_testMethodName") else str(test)
        took = time.monotonic() - self.began.get(test.id(), time.monotonic())
        print(f"  {verdict}  {name} ({took:.1f} s){more}", flush=True)

    def addSuccess(self, test):
        self.counts["passed"] += 1
        self.line("ok  ", test)

    def failed(self, test, error):
        self.counts["failed"] += 1
        self.line("FAIL", test)
        if appliance.Appliance.latest is not None:
            self.logs.add(appliance.Appliance.latest.log)
        print("        " + self._exc_info_to_string(error, test).strip().replace("\n", "\n        "), flush=True)

    def addFailure(self, test, error):
        self.failed(test, error)

    def addError(self, test, error):
        self.failed(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.failed(subtest, error)

    def addSkip(self, test, reason):
        self.counts["skipped"] += 1
        self.line("skip", test, f": {reason}")


PR_SET_PDEATHSIG = 1


def main(module, result_file):
    # Whatever ends the runner ends this too.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A test that hangs says where, a little before the runner gives it up.
    faulthandler.dump_traceback_later(290, exit=True)
    result = Lines()
    unittest.defaultTestLoader.loadTestsFromName(module).run(result)
    for log in sorted(result.logs):
        if log.exists():
            text = log.read_text(errors="replace").splitlines()
            print(f"  the end of {log.name}:")
            print("".join(f"    | {line}\n" for line in text[-LOG_LINES:]), end="")
    for log in appliance.run_dir().glob("*.log"):
        log.unlink()
    pathlib.Path(result_file).write_text(json.dumps(result.counts))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
