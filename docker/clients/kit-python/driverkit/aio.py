"""Clients that live on an event loop: one loop in a thread of its own hosts all of them.

The main thread reads commands, so `clock`, `stats` and `stop` are answered while a client keeps the
loop busy. A lab that does not read must not stop the loop, else its back-pressure would look like
the client's (no heartbeats, no fetches): what the pipe does not take waits in a backlog, and each
client waits for it to be gone before its next command. So it is bounded by what each client reports
in one command.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import os
import select
import stat
import threading
import traceback
from collections import deque
from collections.abc import Mapping

from driverkit import host, runtime_metrics
from driverkit.client import SLICE_S, BaseClient, Command
from driverkit.outcome import READ_ONLY, problem
from driverkit.wire import Wire

WAIT_S = SLICE_S / 2  # how long a client may wait in one go: what runs ends before it is cut
_DELAY_PERIOD_S = 0.02
CLOSED = "the client was closed before this ended"


def main(about: host.About, roles: Mapping[str, type[AsyncClient]]) -> int:
    """As `driverkit.main`, for clients on an event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="event-loop", daemon=True)
    thread.start()
    runtime_metrics.scheduler_delay_ms = Delay(loop).take_ms
    code = host.main(about, roles, AsyncWire(loop, thread))
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SLICE_S)
    return code


class AsyncWire(Wire):
    """Writes events; a thread waits while nobody reads, the event loop does not."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        super().__init__()
        self.loop = loop
        self._fd = _without_waiting(self._fd)
        self._thread = thread
        self._backlog: deque[bytes] = deque()
        self._changed = threading.Condition(self._lock)
        self._waiting: list[asyncio.Future[None]] = []
        threading.Thread(target=self._drain, name="stdout", daemon=True).start()

    @property
    def congested(self) -> bool:
        """Whether something waits for the lab to read."""
        return bool(self._backlog)

    async def room(self) -> None:
        """Wait until nothing waits any more."""
        with self._lock:
            if not self._backlog:
                return
            future = self.loop.create_future()
            self._waiting.append(future)
        await future

    def close(self, timeout_s: float) -> None:
        """Wait until all is written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._backlog, timeout_s)

    def _put(self, line: bytes) -> None:
        with self._changed:
            if not self._backlog:
                line = self._write(line)
            if not line:
                return
            self._backlog.append(line)
            self._changed.notify_all()
            if threading.current_thread() is not self._thread:
                self._changed.wait_for(lambda: not self._backlog)

    def _write(self, line: bytes) -> bytes:
        """Write what the pipe takes and return the rest."""
        try:
            return line[os.write(self._fd, line) :]
        except BlockingIOError:
            return line

    def _drain(self) -> None:
        writable = select.poll()
        writable.register(self._fd, select.POLLOUT)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._backlog)
            writable.poll()
            with self._changed:
                try:
                    self._backlog[0] = self._write(self._backlog[0])
                except OSError:  # the lab is gone; whoever writes next is told
                    self._backlog.clear()
                if self._backlog and not self._backlog[0]:
                    self._backlog.popleft()
                if not self._backlog:
                    self._changed.notify_all()
                    self.loop.call_soon_threadsafe(self._let_go_on, self._waiting)
                    self._waiting = []

    @staticmethod
    def _let_go_on(waiting: list[asyncio.Future[None]]) -> None:
        for future in waiting:
            if not future.done():
                future.set_result(None)


class AsyncClient(BaseClient):
    """A client on the event loop; its `op_` methods may be coroutines.

    A close lets what runs end by itself: it should look at `closing` at least every `WAIT_S`. After
    `SLICE_S` it is cancelled, `patient` commands only when the close's time is over. A command that
    is cancelled is `info`, `fail` if it only reads, or what it makes of the CancelledError itself.
    """

    patient = frozenset({"send", "produce", "consume"})

    def __init__(self, wire: AsyncWire, name: str, siblings: Mapping[str, BaseClient]) -> None:
        super().__init__(wire, name, siblings)
        self.wire: AsyncWire = wire
        self._commands: deque[Command | None] = deque()
        self._woken = asyncio.Event()
        self._running: Command | None = None
        self._task: asyncio.Task[None] | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._ended = asyncio.run_coroutine_threadsafe(self._run(), wire.loop)
        self._ended.add_done_callback(_tell)

    # What a driver's clients override.

    async def op_open(self, command: Command) -> None:
        """Make and start the native client."""
        raise NotImplementedError

    async def op_close(self, _command: Command) -> None:
        """Close the native client."""
        await self.close_native()

    async def close_native(self) -> None:
        """Close as the client itself does it; must be safe when `open` failed."""

    # What the host calls, in the main thread.

    def take(self, command: Command) -> None:
        """Queue a command; a close takes effect on what runs."""
        if command["op"] == "close":
            self.ask_to_close(float(command["timeout_ms"]) / 1e3)
        self._queue(command)
        if self.finished:  # it ended between the look at it and here: nobody reads the queue
            self._refuse_rest()

    def shut(self, timeout_s: float) -> None:
        """Close without a command, at the end of the process."""
        self.ask_to_close(timeout_s)
        self._queue(None)

    def join(self, timeout_s: float) -> None:
        """Wait until the client is closed."""
        concurrent.futures.wait([self._ended], timeout_s)

    def ask_to_close(self, timeout_s: float) -> None:
        """Let what runs end."""
        super().ask_to_close(timeout_s)
        self.wire.loop.call_soon_threadsafe(self._limit)

    def _queue(self, command: Command | None) -> None:
        self._commands.append(command)
        self.wire.loop.call_soon_threadsafe(self._woken.set)

    def _refuse_rest(self) -> None:
        """Answer the commands that wait behind a close; any thread may do so."""
        with contextlib.suppress(IndexError):
            while True:
                command = self._commands.popleft()
                if command is not None:
                    self.refuse(command)

    # On the event loop.

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        while True:
            while not self._commands:
                self._woken.clear()
                if not self._commands:
                    await self._woken.wait()
            command = self._commands.popleft()
            if command is None:
                await self.close_native()
                return
            await self.execute(command)
            if self.wire.congested:
                await self.wire.room()
            if self.finished:
                self._refuse_rest()
                return

    async def execute(self, command: Command) -> None:
        """Run one command and report it: invoke, then exactly one completion."""
        self.event("invoke", id=command["id"], op=command["op"])
        self._running = command
        self._limit()
        try:
            fields = self.method(command)(command)
            if inspect.isawaitable(fields):
                fields = await fields
            self.ended(command, fields)
        except asyncio.CancelledError:
            kind = "fail" if command["op"] in READ_ONLY else "info"
            self.finished = command["op"] == "open"
            self.answer(command, kind, error=problem(CLOSED))
        except Exception as error:  # noqa: BLE001 whatever a client raises is reported, never hidden
            self.raised(command, error)
        finally:
            self._running = None
            if self._cut is not None:
                self._cut.cancel()
                self._cut = None
                while self._task is not None and self._task.cancelling():
                    self._task.uncancel()

    def _limit(self) -> None:
        """Once a close was asked for, what runs has a limit."""
        running, task = self._running, self._task
        if self.close_by is None or running is None or task is None or running["op"] == "close":
            return
        loop = self.wire.loop
        left_s = self.close_by - loop.time() if running["op"] in self.patient else SLICE_S
        self._cut = self._cut or loop.call_later(max(left_s, 0), task.cancel)


class Delay:
    """The longest time that something ready to run had to wait on the loop, for each who asks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._longest_s: dict[str, float] = {}
        self._due_s = loop.time()
        loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        now_s = self._loop.time()
        late_s = now_s - self._due_s
        for name, longest_s in self._longest_s.items():
            if late_s > longest_s:
                self._longest_s[name] = late_s
        self._due_s = now_s + _DELAY_PERIOD_S
        self._loop.call_at(self._due_s, self._look)

    def take_ms(self, name: str) -> float:
        """The longest since `name` asked last; any thread may ask."""
        longest_s = self._longest_s.get(name, 0.0)
        self._longest_s = {**self._longest_s, name: 0.0}  # not in place: `_look` may go through it
        return round(max(longest_s, self._loop.time() - self._due_s, 0.0) * 1e3, 3)


def _without_waiting(fd: int) -> int:
    """The same pipe with writes that do not wait; what is no pipe stays as it is.

    A pipe is opened anew, because O_NONBLOCK belongs to the open file, which stderr may share.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode):
        with contextlib.suppress(OSError):  # no /proc: then the open file itself is changed
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        os.set_blocking(fd, False)
    return fd


def _tell(ended: concurrent.futures.Future[None]) -> None:
    """Say on stderr why a client's task died; nobody else would."""
    if not ended.cancelled() and ended.exception() is not None:
        traceback.print_exception(ended.exception())
