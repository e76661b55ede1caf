"""``lingraft serve``, as a process: it says where it is, ends in order, and says what is wrong in one line."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest

from answering import adapted_of
from lingraft.core.files import write_json
from lingraft.model.checkpoint import save_adaptation
from served import ask, wait_until
from tiny import REPOSITORY


@pytest.fixture(scope="module")
def folder(tiny_backbone, tmp_path_factory):
    """A folder with trained parts, for topics."""
    folder, adapted = tmp_path_factory.mktemp("topics"), adapted_of(tiny_backbone)
    save_adaptation(folder / "adaptation.safetensors", adapted.model.adaptation, adapted.identity)
    summary = {"selected_trial": "k0-draw0-seed2", "trials": {"k0-draw0-seed1": {}, "k0-draw0-seed2": {}}}
    write_json(folder / "summary.json", summary)
    return folder


def hear_hangups():
    """End at a hangup, as by default, though who runs the tests may ignore them (nohup)."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def started(folder, *options, by=()):
    """Start it on a free port, perhaps by a program; the process, its port, and the lines that it said until then."""
    command = [*by, sys.executable, "-m", "lingraft", "serve", str(folder), "--port", "0", *options]
    before = hear_hangups if os.name == "posix" else None
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=before)
    try:
        said = []
        while "answering at" not in "".join(said):
            said.append(process.stderr.readline())
            assert said[-1], said
        yield process, int(re.search(r"answering at http://[\d.]+:(\d+) ", said[-1])[1]), "".join(said)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def refuses(port):
    """Whether nobody listens any more."""
    with closing(socket.socket()) as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0


BODY = b'{"items": ["ada beli"]}'
HEAD = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}"
ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]


@pytest.mark.parametrize("number", ENDS)
def test_what_is_begun_is_finished_when_it_is_told_to_stop(folder, tiny_backbone, number):
    """A request of which half has come; then it ends well, and says so. Elsewhere than here, that is warned of."""
    (expected,) = adapted_of(tiny_backbone).predict(["ada beli"])
    elsewhere = ["--host", "0.0.0.0"] if number is signal.SIGINT else []
    with started(folder, *elsewhere) as (process, port, said):
        assert ("warning: http://0.0.0.0:" in said) == bool(elsewhere)
        assert "the trial that answers: no target labels (draw 1 of 1, seed 2)" in said
        assert ask(f"http://127.0.0.1:{port}", "/healthz").json["task"] == "topic"
        with closing(socket.create_connection(("127.0.0.1", port), 60)) as to:
            to.sendall(f"{HEAD}\r\n\r\n".encode() + BODY[:9])
            process.send_signal(number)
            wait_until(lambda: refuses(port))
            to.sendall(BODY[9:])
            answered = b"".join(iter(lambda: to.recv(9_999), b"")).decode()
        assert process.wait(60) == 0
        assert process.stderr.read() == "stopped; what was asked has been answered\n"
    assert answered.startswith("HTTP/1.1 200")
    assert f'"label": "{expected.value}"' in answered


@pytest.mark.parametrize("number", ENDS)
def test_told_twice_it_ends_at_once(folder, number):
    """Whatever is begun, by the signal itself as a shell expects, and it does not say that all was answered."""
    with started(folder) as (process, port, _):
        assert ask(f"http://127.0.0.1:{port}", "/healthz").status == 200
        with closing(socket.create_connection(("127.0.0.1", port), 60)) as to:
            to.sendall(f"{HEAD}\r\n\r\n".encode() + BODY[:9])
            process.send_signal(number)
            wait_until(lambda: refuses(port))
            process.send_signal(number)
            assert process.wait(60) == -number
        assert process.stderr.read() == ""


def test_under_nohup_a_closed_terminal_ends_nothing(folder):
    """That is what nohup is for; SIGTERM still ends it."""
    if shutil.which("nohup") is None:
        pytest.skip("there is no nohup here")
    with started(folder, by=["nohup"]) as (process, port, _):
        address = f"http://127.0.0.1:{port}"
        assert ask(address, "/healthz").status == 200
        process.send_signal(signal.SIGHUP)
        assert [ask(address, "/healthz").status for _ in range(3)] == [200] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--max-items", "0"], "--max-items: expected at least 1, got 0"),
        (["--max-waiting", "9"], "--max-items 256 is more than --max-waiting 9"),
        (["--host", "no.such.host.invalid"], "cannot listen at no.such.host.invalid, port 8000: "),
        (["--port", "{taken}"], r"cannot listen at 127.0.0.1, port \d+: Address already in use; choose others"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(command, folder, options, told):
    """Before anything is loaded."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        taken = other.getsockname()[1]
        done = command("serve", folder, *(one.format(taken=taken) for one in options))
    assert done.code == 1
    assert re.search(told, done.err)
    assert "Traceback" not in done.err


@pytest.mark.parametrize("what", ["a folder", "no folder"])
def test_a_folder_without_a_model_is_refused_in_one_line(command, tmp_path, what):
    """As predict refuses it."""
    folder = tmp_path if what == "a folder" else tmp_path / "nothing"
    done, expected = command("serve", folder), command("predict", folder, stdin="ada\n")
    assert (done.code, done.err) == (1, expected.err)
    assert "adaptation.safetensors" in done.err


@pytest.mark.parametrize(("given", "kept"), [(None, "64"), ("7", "7")])
def test_kernels_of_few_shapes_are_kept_unless_somebody_says_how_many(command, tmp_path, monkeypatch, given, kept):
    """Torch reads it from the environment when it computes for the first time."""
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", given or "")
    if given is None:
        monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    assert command("serve", tmp_path).code == 1
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == kept


def test_without_its_packages_it_says_what_to_install(command, folder, monkeypatch):
    """One line."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = command("serve", folder)
    assert (done.code, done.err) == (
        1, "error lingraft serve needs uvicorn, not installed: pip install 'lingraft[serve]'\n",
    )  # fmt: skip


def test_the_load_script_loses_nothing(folder, tmp_path):
    """A few requests of its own server, answers compared, malformed ones refused; its table has a row for each load."""
    (tmp_path / "items.txt").write_text('ada beli\n"cora dune"\nfara\n', encoding="utf-8")
    script = [sys.executable, REPOSITORY / "benchmarks" / "serve_load.py", folder, "--items", tmp_path / "items.txt"]
    done = subprocess.run([*script, "--requests", "30", "--clients", "1", "4"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith(("| 1 ", "| 4 "))]
    assert [(row[0], row[1], row[5], row[6]) for row in rows] == [("1", "30", "0", "0"), ("4", "30", "0", "0")]
    assert "malformed requests refused with 4xx: 13 of 13" in done.stdout
