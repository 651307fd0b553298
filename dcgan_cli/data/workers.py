"""Decoding in worker processes: a crash costs one image, and no worker outlives its parent.

Each worker has its own pipe, gets one shard at a time and stores the number of the record that it
decodes. If a decoder crashes its process, that record is known; a second crash on the same record,
in a new process, makes it unreadable. A worker whose parent is gone, even killed, exits at once.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from dcgan_cli.data.shards import Layout, build_shard
from dcgan_cli.data.sources import Source
from dcgan_cli.errors import DcganError

_REPORT_SECONDS = 0.2
"""Seconds between two reports of progress."""

_MAX_UNEXPLAINED_EXITS = 5
"""Workers that may die without decoding a record (killed, out of memory) before giving up."""

_NO_RECORD = -1


@dataclass
class _Task:
    shard: int
    suspects: set[int] = field(default_factory=set[int])
    crashing_records: dict[int, str] = field(default_factory=dict[int, str])


class _Worker:
    """One worker process, and its current task."""

    def __init__(self, layout: Layout, source: Source) -> None:
        # spawn: a fork would copy locks that threads of the parent hold.
        context = multiprocessing.get_context("spawn")
        self.touching: Any = context.RawValue(ctypes.c_int64, _NO_RECORD)
        self.connection, child_connection = context.Pipe()
        self.process = context.Process(
            target=_run_worker, args=(child_connection, layout, source, self.touching), daemon=True
        )
        self.process.start()
        child_connection.close()
        self.started = False
        self.task: _Task | None = None

    def assign(self, task: _Task) -> None:
        self.task = task
        self.touching.value = _NO_RECORD
        # A worker that has died meanwhile is detected, with its task, when its pipe is read.
        with contextlib.suppress(OSError):
            self.connection.send((task.shard, task.crashing_records))

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()

    def error_message(self) -> DcganError:
        keep_ending, not_started = (
            "worker processes keep ending",
            "a worker process could not start",
        )
        what = keep_ending if self.started else not_started
        return DcganError(
            f"decoding: {what} ({self.exit_reason()}); close other programs if memory is short, "
            "or pass --no-cache"
        )

    def exit_reason(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def build_shards(
    layout: Layout, source: Source, shards: Sequence[int], workers: int
) -> Generator[tuple[int, int]]:
    """Build `shards` with `workers` processes, or in this one if `workers` is 0.

    Yields (records done, records unreadable) of these shards, now and then. Raises StorageError if
    a shard cannot be written, and DcganError if processes cannot be started or kept alive.
    """
    done = unreadable = 0
    if workers == 0:
        for shard in shards:
            unreadable += build_shard(layout, shard, source, {}, lambda _: None)
            done += len(layout.span(shard))
            yield done, unreadable
        return

    pending = deque(_Task(shard) for shard in shards)
    running = [_Worker(layout, source) for _ in range(min(workers, len(pending)))]
    unexplained_exits = 0
    try:
        while pending or any(worker.task for worker in running):
            ready = wait([worker.connection for worker in running], _REPORT_SECONDS)
            for place, worker in enumerate(running):
                if worker.connection not in ready:
                    continue
                try:
                    reply = worker.connection.recv()
                except (EOFError, OSError):
                    unexplained_exits += _requeue(worker, pending)
                    if unexplained_exits > _MAX_UNEXPLAINED_EXITS or not worker.started:
                        raise worker.error_message() from None
                    running[place] = _Worker(layout, source)
                    continue
                if isinstance(reply, Exception):
                    raise reply
                if worker.task:
                    done += len(layout.span(worker.task.shard))
                    unreadable += reply
                worker.started, worker.task = True, None
            for worker in running:
                if pending and worker.started and not worker.task:
                    worker.assign(pending.popleft())
            yield done + sum(_records_done(layout, worker) for worker in running), unreadable
    finally:
        for worker in running:
            worker.stop()


def _requeue(worker: _Worker, pending: deque[_Task]) -> int:
    """Requeue the task of a dead worker; returns 1 if no record was the cause, else 0."""
    reason = worker.exit_reason()
    worker.connection.close()
    task, record = worker.task, int(worker.touching.value)
    if task is None:
        return 1
    pending.appendleft(task)
    if record == _NO_RECORD:
        return 1
    if record in task.suspects:
        task.crashing_records[record] = f"crashes the decoder ({reason})"
    task.suspects.add(record)
    return 0


def _records_done(layout: Layout, worker: _Worker) -> int:
    """How many records of its current shard a worker has decoded."""
    record = int(worker.touching.value)
    if worker.task is None or record == _NO_RECORD:
        return 0
    return record - layout.span(worker.task.shard).start


def _exit_with_parent() -> None:
    """Exit this process at once when its parent ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_worker(connection: Connection, layout: Layout, source: Source, touching: Any) -> None:
    """The main loop of a worker: signal readiness, then build shards until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    _exit_with_parent()

    def announce(number: int) -> None:
        touching.value = number

    try:
        connection.send(None)
        while True:
            shard, crashing_records = connection.recv()
            try:
                reply = build_shard(layout, shard, source, crashing_records, announce)
            except Exception as error:  # noqa: BLE001 - raised again by the parent
                reply = error
            connection.send(reply)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
