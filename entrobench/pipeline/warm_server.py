"""The server behind `warm`: imports libraries once, then becomes a copy of itself for every command it gets."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
from collections.abc import Sequence
from functools import partial

LONGEST = 65_536  # bytes of a command
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl


def serve(listener: str, owner: str, *libraries: str) -> Sequence[str] | None:
    """Serve until a study has ended: None. In a copy, return at once, with the arguments of the command it shall run.

    `listener` is the number of a listening socket, `owner` the process id of the study.
    """
    for name in libraries:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the copies share these pages: nobody looks through them for garbage
    return Server(socket.socket(fileno=int(listener)), int(owner)).serve()


class Server:
    """Waits for commands, for signals to copies and their ends, and for the end of the study."""

    def __init__(self, listener: socket.socket, owner: int) -> None:
        self.listener, self.owner = listener, os.pidfd_open(owner)
        self.waiting = selectors.DefaultSelector()  # its data: what to do when a file is ready
        self.waiting.register(listener, selectors.EVENT_READ, self._accept)
        self.waiting.register(self.owner, selectors.EVENT_READ, self._retire)

    def serve(self) -> Sequence[str] | None:
        """None when the study and all copies have ended; in a copy: the command it shall run."""
        while self.waiting.get_map():
            key, _ = self.waiting.select()[0]
            arguments: Sequence[str] | None = key.data()
            if arguments is not None:
                return arguments
        return None

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        self.waiting.register(connection, selectors.EVENT_READ, partial(self._begin, connection))

    def _retire(self) -> None:
        for file in (self.listener, self.owner):
            self.waiting.unregister(file)
        self.listener.close()

    def _begin(self, connection: socket.socket) -> Sequence[str] | None:
        """Fork for a command; the copy gets the arguments and the job's standard files."""
        message, files, _, _ = socket.recv_fds(connection, LONGEST, 3)
        if not message:  # the job ended before it asked
            self.waiting.unregister(connection)
            connection.close()
            return None
        copy = os.fork()
        if copy == 0:
            self._let_go(files)
            return list(json.loads(message))
        for file in files:
            os.close(file)
        end = os.pidfd_open(copy)
        with contextlib.suppress(BrokenPipeError):  # the job is gone, which `_signal` hears next
            connection.send(b"begun")
        self.waiting.modify(connection, selectors.EVENT_READ, partial(self._signal, connection, copy))
        self.waiting.register(end, selectors.EVENT_READ, partial(self._answer, connection, copy, end))
        return None

    def _let_go(self, files: Sequence[int]) -> None:
        """In the copy: die with the server, close what is the server's, and take the job's standard files."""
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        for key in list(self.waiting.get_map().values()):
            os.close(key.fileobj.detach() if isinstance(key.fileobj, socket.socket) else key.fd)
        self.waiting.close()
        for place, file in enumerate(files):
            os.dup2(file, place)
            os.close(file)

    def _signal(self, connection: socket.socket, copy: int) -> None:
        """Hand on a signal; a job that is gone takes its copy with it. Nobody else has the id: it is not reaped yet."""
        sent = connection.recv(1)
        if not sent:
            self.waiting.unregister(connection)
        os.kill(copy, sent[0] if sent else signal.SIGKILL)

    def _answer(self, connection: socket.socket, copy: int, end: int) -> None:
        """Tell the job how its copy ended."""
        _, status = os.waitpid(copy, 0)
        self.waiting.unregister(end)
        os.close(end)
        with contextlib.suppress(KeyError):
            self.waiting.unregister(connection)
        with contextlib.suppress(BrokenPipeError):  # the job is gone
            connection.send(str(status).encode())
        connection.close()
