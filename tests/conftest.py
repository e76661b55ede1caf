"""Fixtures that all tests share: tiny checkpoints, the embedded one, random states, the shared data sets."""

import gc
import io
import multiprocessing
import signal
import sys
from types import SimpleNamespace

import pytest
import torch
from hypothesis import settings

from browser import chromium
from lingraft.core.errors import CheckpointError
from lingraft.core.records import States
from posix_only import signal_called
from tiny import SHARED_DATA, USERS_CACHE, random_model, save_checkpoint

settings.register_profile("unhurried", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("unhurried")
gc.disable()  # while modules are imported there is no garbage to find


def pytest_collection_finish():
    """Leave what is imported by now out of every later search for garbage; the searches took a third of the time."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium, started once a file; the tests are skipped where there is none."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Tests and what they share keep away from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(autouse=True)
def _users_cache(request, monkeypatch):
    """Give a test of the embedded checkpoint the user's cache, where that is converted already."""
    if request.node.get_closest_marker("checkpoint") is not None:
        monkeypatch.setenv("LINGRAFT_CACHE", str(USERS_CACHE))


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory):
    """A folder with a random BERT of three layers, width 24, and its tokenizer."""
    return save_checkpoint(tmp_path_factory.mktemp("tiny-bert"), random_model("bert"))


@pytest.fixture(scope="session")
def tiny_backbone(tiny_checkpoint):
    """That checkpoint, loaded."""
    from lingraft.backbones.loading import load_backbone

    return load_backbone(str(tiny_checkpoint))


@pytest.fixture(scope="session")
def e5():
    """The embedded checkpoint, converted once into the user's cache; mark its tests ``checkpoint``."""
    from lingraft.backbones.loading import load_backbone

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(USERS_CACHE))
        try:
            return load_backbone("bundled:multilingual-e5-small")
        except CheckpointError as error:
            pytest.skip(str(error))


@pytest.fixture
def random_states():
    """A function that makes random states: every length occurs, the first text has no padding."""

    def make(batch=4, length=5, width=8, seed=0, layer=0):
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.tensor([length - i % length for i in range(batch)])
        mask = (torch.arange(length)[None, :] < lengths[:, None]).long()
        return States(tokens=torch.randn(batch, length, width, generator=generator), mask=mask, layer=layer)

    return make


@pytest.fixture(scope="session")
def shared_data():
    """The folder of public data sets beside the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the public data sets are not beside the repository")
    return SHARED_DATA


@pytest.fixture
def command(monkeypatch, capfd):
    """A function that calls the command line in this process; its exit code and what it printed."""

    def call(*arguments, stdin=""):
        from lingraft.cli.main import main

        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        return SimpleNamespace(code=end.value.code or 0, out=printed.out, err=printed.err)

    return call


@pytest.fixture
def fork():
    """What starts processes as copies of this one, with all that it has loaded; skipped where there is no such way."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system starts no process as a copy of another")
    return multiprocessing.get_context("fork")


@pytest.fixture
def usual_signals():
    """Signals end this process as they do one that a terminal started; who runs the tests may have had them ignored."""
    hangup = signal_called("SIGHUP")
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, hangup: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
