"""One `weir sql --stdio`: what a request declares holds for those that follow.

The protocol is described in worker/src/sql/stdio/mod.rs.
"""

import atexit
import collections
import decimal
import json
import os
import queue
import signal
import subprocess
import threading

from . import program
from .errors import SqlError

PROTOCOL = 1
# Nothing is worked on before the program says hello.
HELLO_SECONDS = 60
# Whoever interrupts so often does not want to wait any more.
PATIENCE = 3
# Events that wait for whoever reads them; the program waits then.
WAITING = 100
GONE = "what was declared and set is gone: run the cells that declare it again"


class Session:
    """Statements are run one request after the other, from the thread that made the session."""

    def __init__(self, binary=None, folder=None):
        self._binary = binary or program.find()
        # A session of its own: the kernel's interrupt must not reach the program, which would end.
        try:
            self._process = subprocess.Popen(
                [self._binary, "sql", "--stdio"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env={**os.environ, "NO_COLOR": "1"},
                start_new_session=True,
            )
        except OSError as error:
            why = error.strerror or error
            raise SqlError(f"{self._binary} cannot be started: {why}; {program.BUILD}") from None
        self._events = queue.Queue(WAITING)
        self._said = collections.deque(maxlen=20)
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        # The program ends with its standard input, but this process may wait for it.
        atexit.register(self.close)
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    @property
    def is_alive(self):
        return self._process.poll() is None and not self._process.stdin.closed

    def run(self, sql, take, **wanted):
        """Runs statements; `take` gets each event up to `end`, whose code is returned.

        `wanted` is what a request may say of them: `limit`, `seconds`, `live`, `shown`. SIGINT ends what
        runs, and no more.
        """
        wanted = {name: value for name, value in wanted.items() if value is not None}
        with _Interrupts() as interrupts:
            self._send({"run": {"sql": sql, **wanted}})
            failed = None
            while True:
                event = self._next(interrupts)
                if event["event"] == "end":
                    break
                if failed is None:
                    try:
                        take(event)
                    except BaseException as error:
                        failed = error
                        self._send("interrupt")
        if failed is not None:
            raise failed
        return event["code"]

    def complete(self, before, after=""):
        """Where what could be completed begins in `before`, and `(text, what)` of each."""
        with _Interrupts() as interrupts:
            self._send({"complete": {"before": before, "after": after}})
            event = self._next(interrupts)
            if event["event"] == "error":
                # What cannot be read is answered like a run.
                while self._next(interrupts)["event"] != "end":
                    pass
                raise SqlError(event["text"])
        return event["start"], [(found["text"], found["what"]) for found in event["candidates"]]

    def close(self):
        """Ends what runs, and the program."""
        atexit.unregister(self.close)
        process = self._process
        try:
            process.stdin.close()
        except OSError:
            pass
        try:
            # What runs has to be saved, and its reader must not wait meanwhile.
            for _ in range(50):
                self._drain()
                try:
                    process.wait(0.1)
                    break
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        for reader in self._readers:
            self._drain()
            reader.join(1)
        for pipe in (process.stdout, process.stderr):
            pipe.close()

    def _drain(self):
        while True:
            try:
                self._events.get_nowait()
            except queue.Empty:
                return

    def _greet(self):
        try:
            hello = self._events.get(timeout=HELLO_SECONDS)
        except queue.Empty:
            raise SqlError(f"{self._binary} says nothing; {program.BUILD}") from None
        if hello is None or hello.get("event") != "hello":
            self.close()
            raise SqlError(
                f"{self._binary} does not know `weir sql --stdio`{self._last_words()}\n{program.BUILD}"
            )
        if hello["protocol"] != PROTOCOL:
            raise SqlError(
                f"{self._binary} speaks protocol {hello['protocol']}, this package {PROTOCOL}; "
                "install the package of the tree that it was built from: pip install worker/python"
            )

    def _send(self, request):
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            # What it said last is told when its events end.
            pass

    def _next(self, interrupts):
        while True:
            # A person who interrupts does not wait for an event.
            if interrupts.take():
                if interrupts.count > PATIENCE:
                    self._process.kill()
                self._send("interrupt")
            try:
                event = self._events.get(timeout=0.05)
            except queue.Empty:
                if self._readers[0].is_alive() or not self._events.empty():
                    continue
                event = None
            if event is None:
                raise self._lost(interrupts)
            return event

    def _lost(self, interrupts):
        code = self._process.wait()
        if interrupts.count > PATIENCE:
            return SqlError(f"it did not end, so that the program was ended; {GONE}")
        how = f"with code {code}" if code >= 0 else f"by signal {-code}"
        return SqlError(f"{self._binary} has ended {how}{self._last_words()}\n{GONE}")

    def _last_words(self):
        self._readers[1].join(1)
        said = "\n".join(self._said)
        return f":\n{said}" if said else ""

    def _read_events(self):
        for line in self._process.stdout:
            try:
                # Numbers stay what they are until their column's type is known.
                event = json.loads(line, parse_float=decimal.Decimal)
            except ValueError:
                self._said.append(line.decode(errors="replace").rstrip())
                continue
            self._events.put(event)
        self._events.put(None)

    def _read_errors(self):
        for line in self._process.stderr:
            self._said.append(line.decode(errors="replace").rstrip())


class _Interrupts:
    """Counts SIGINT instead of having it strike between any two instructions, where an event could
    be lost. Only the main thread may say so, and only there it strikes."""

    def __init__(self):
        self.count = 0
        self._taken = 0

    def __enter__(self):
        self._is_mine = threading.current_thread() is threading.main_thread()
        if self._is_mine:
            self._before = signal.signal(signal.SIGINT, self._add)
        return self

    def __exit__(self, *_):
        if self._is_mine:
            before = signal.SIG_DFL if self._before is None else self._before
            signal.signal(signal.SIGINT, before)

    def _add(self, *_):
        self.count += 1

    def take(self):
        """Whether there was one more."""
        is_new = self.count > self._taken
        self._taken = self.count
        return is_new
