"""The revision that a package runs from."""

import subprocess

import pytest

from lingraft.core.version import SOURCE, revision_of, source_revision


def git(folder, *arguments):
    """Run git with a name, which a commit wants."""
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A repository with a package of our name and one commit."""
    (tmp_path / "src" / "lingraft").mkdir(parents=True)
    (tmp_path / "src" / "lingraft" / "__init__.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    revision_of.cache_clear()
    yield tmp_path
    revision_of.cache_clear()


def test_a_checkout_has_its_commit_and_a_plus_where_its_source_differs(checkout):
    """What differs elsewhere decides nothing."""
    commit = git(checkout, "rev-parse", "HEAD")[:12]
    assert revision_of(checkout) == commit
    (checkout / "notes.txt").write_text("changed")
    revision_of.cache_clear()
    assert revision_of(checkout) == commit
    (checkout / "src" / "lingraft" / "new.py").write_text("")
    revision_of.cache_clear()
    assert revision_of(checkout) == f"{commit}+"


def test_an_installed_package_has_none(tmp_path):
    """Nor has one in a folder that is no repository."""
    assert revision_of(tmp_path) is None


def test_a_folder_that_only_looks_like_a_repository_has_none(checkout, monkeypatch):
    """Git is not there, or refuses."""
    monkeypatch.setenv("PATH", "")
    assert revision_of(checkout) is None


@pytest.mark.skipif(not (SOURCE / ".git").exists(), reason="the package runs from no checkout")
def test_this_package_runs_from_a_commit():
    """Which git knows."""
    assert git(SOURCE, "cat-file", "-t", source_revision().removesuffix("+")) == "commit"
