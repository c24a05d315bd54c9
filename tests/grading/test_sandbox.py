"""What a worker may not do: each way out of it is tried from inside a confined process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from entrobench.evaluation.grading.grader import grade, warm_up
from entrobench.evaluation.grading.worker_pool import shared_pool

WAYS_OUT = {
    "read a file": "open('/etc/hostname').read()",
    "read its environment": "open('/proc/self/environ').read()",
    "write a file": "open('escaped', 'w')",
    "write with os": "import os; os.open('escaped', os.O_CREAT | os.O_WRONLY)",
    "write beside a module": "import sympy; open(sympy.__file__ + 'x', 'w')",
    "delete": "import os; os.remove('there')",
    "rename": "import os; os.rename('there', 'escaped')",
    "make a folder": "import os; os.mkdir('escaped')",
    "make a link": "import os; os.symlink('/', 'escaped')",
    "list a folder": "import os; os.listdir('/')",
    "run a command": "import os; os.system('touch escaped')",
    "start a process": "import subprocess; subprocess.run(['touch', 'escaped'])",
    "become another program": "import os; os.execv('/bin/touch', ['touch', 'escaped'])",
    "fork": "import os; os.fork()",
    "open a socket": "import socket; socket.socket()",
    "ask for a name": "import socket; socket.getaddrinfo('localhost', 80)",
    "fetch": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    "call C": "import ctypes; ctypes.CDLL(None)",
    "signal others": "import os; os.kill(os.getppid(), 0)",
    "take all memory": "bytearray(3 * 1024**3)",
    "open many files": "import sympy; [open(sympy.__file__) for _ in range(100)] and [][1]",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What came of each way out, all tried in one confined process."""
    folder = tmp_path_factory.mktemp("cell")
    (folder / "there").write_text("there")
    program = (
        "import sys, json, sympy, subprocess, socket, urllib.request, ctypes\n"
        "from entrobench.evaluation.grading.sandbox import bound_memory, confine\n"
        f"ways = {WAYS_OUT!r}\nbound_memory(); confine()\n"
        "for name, way in ways.items():\n"
        "    try: exec(way)\n"
        "    except BaseException as error: print(name, type(error).__name__, sep=': ')\n"
        "    else: print(name, 'escaped', sep=': ')\n"
        "import sympy.physics.units\nprint('late import: fine')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert [path.name for path in folder.iterdir()] == ["there"], "nothing was written"
    return dict(line.split(": ") for line in done.stdout.splitlines())


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_out(answers: dict[str, str], way: str) -> None:
    expected = {"take all memory": "MemoryError", "open many files": "OSError"}.get(way, "Refused")
    assert answers[way] == expected


def test_modules_can_still_be_imported(answers: dict[str, str]) -> None:
    assert answers["late import"] == "fine"


def test_every_worker_is_confined_and_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    pool = shared_pool()
    pool.close()
    warm_up()
    assert grade("5x+5", "5(x+1)").correct
    for worker in pool._idle:
        place = Path(f"/proc/{worker.process.pid}")
        assert b"hf_of_somebody" not in (place / "environ").read_bytes()
    limits = (Path(f"/proc/{pool._idle[-1].process.pid}") / "limits").read_text()
    assert "Max file size             0 " in limits
