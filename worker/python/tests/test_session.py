"""What a session makes of a program that is missing, is another one, or ends; how the right one is
used is tested by executing a notebook."""

import os
import signal
import stat
import sys
import tempfile
import threading
import unittest

from weir import program
from weir.errors import SqlError
from weir.session import Session

HELLO = """
import json, sys, time
def tell(**event):
    print(json.dumps(event), flush=True)
tell(event="hello", protocol=1, weir="test")
"""


class Programs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def program(self, text):
        path = os.path.join(self.folder, "weir")
        with open(path, "w") as file:
            file.write(f"#!{sys.executable}\n{text}")
        os.chmod(path, stat.S_IRWXU)
        return path

    def session(self, text):
        session = Session(self.program(text))
        self.addCleanup(session.close)
        return session

    def test_the_program_is_found_or_how_to_build_it_is_told(self):
        path = self.program("")
        self.assertEqual(program.find({"WEIR_BIN": path}), path)
        self.assertEqual(program.find({"PATH": self.folder}), path)
        for environ, why in [
            ({"WEIR_BIN": path + "x"}, "weirx is not a program"),
            ({"WEIR_BIN": self.folder, "PATH": self.folder}, "is not a program"),
            ({"PATH": "/nowhere"}, "not in PATH"),
            ({}, "WEIR_BIN is not set"),
        ]:
            with self.assertRaisesRegex(SqlError, f"(?s){why}.*cargo build --release --bin weir"):
                program.find(environ)

    def test_another_program_or_version_is_refused_with_what_it_said(self):
        for text, why in [
            ("import sys; sys.exit('error: unexpected argument --stdio')", "unexpected argument --stdio"),
            ("print('usage: weir')", "(?s)does not know `weir sql --stdio`.*usage: weir"),
            ('print(\'{"event":"hello","protocol":2}\')', "speaks protocol 2, this package 1"),
        ]:
            with self.assertRaisesRegex(SqlError, why):
                Session(self.program(text))

    def test_a_program_that_ends_is_told_once_with_its_last_words(self):
        session = self.session(HELLO + "sys.stdin.readline(); sys.exit('out of luck')")
        for _ in range(2):
            with self.assertRaisesRegex(SqlError, "(?s)ended with code 1:\nout of luck\n.*run the cells"):
                session.run("SELECT 1", lambda event: None)
        self.assertFalse(session.is_alive)

    def test_what_fails_here_interrupts_there_and_the_session_goes_on(self):
        session = self.session(
            HELLO
            + """
for line in sys.stdin:
    if "interrupt" in line:
        continue
    tell(event="progress", text="")
    if json.loads(line)["run"]["sql"] == "long":
        assert json.loads(sys.stdin.readline()) == "interrupt"
    tell(event="end", code=0)
"""
        )

        def fail(event):
            raise RuntimeError("no picture")

        with self.assertRaisesRegex(RuntimeError, "no picture"):
            session.run("long", fail)
        self.assertEqual(session.run("short", lambda event: None), 0)

    def test_an_interrupt_is_passed_on_and_strikes_nothing_else(self):
        session = self.session(
            HELLO
            + """
for line in sys.stdin:
    tell(event="progress", text="runs")
    assert json.loads(sys.stdin.readline()) == "interrupt"
    tell(event="end", code=130)
"""
        )
        before = signal.getsignal(signal.SIGINT)
        interrupt = lambda event: os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual(session.run("SELECT", interrupt), 130)
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_a_program_that_hears_nothing_is_ended_by_who_does_not_wait(self):
        session = self.session(HELLO + "tell(event='progress', text=''); time.sleep(600)")

        def interrupt(event):
            for after in (0.2, 0.4, 0.6, 0.8, 1.0):
                timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
                self.addCleanup(timer.join)
                timer.start()

        # Those that come after the program has ended would strike the test.
        ours = signal.signal(signal.SIGINT, lambda *_: None)
        self.addCleanup(signal.signal, signal.SIGINT, ours)
        with self.assertRaisesRegex(SqlError, "did not end.*run the cells"):
            session.run("SELECT", interrupt)

    def test_a_session_that_is_closed_leaves_no_process(self):
        session = self.session(HELLO + "sys.stdin.read()")
        session.close()
        self.assertEqual(session._process.returncode, 0)
        stubborn = self.session(HELLO + "time.sleep(600)")
        stubborn.close()
        self.assertEqual(stubborn._process.returncode, -signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
