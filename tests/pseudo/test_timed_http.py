"""Addresses are checked before anything is asked."""

import pytest

from lingraft.core.errors import ConfigError
from lingraft.pseudo.timed_http import refuse_bad_address


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/v1", "https://api.example.org", "http://[::1]:80/v1/", "https://b\u00fccher.example/a%20b"],
)
def test_what_a_server_can_have_as_its_address_is_taken(url):
    """Also names of hosts in other letters than ASCII's, which have a spelling in it."""
    refuse_bad_address(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://[::1/v1", r"'http://\[::1/v1' is no address \(Invalid IPv6 URL\)"),
        ("http://a..b/v1", r"'http://a\.\.b/v1' is no address .*expected one like http://localhost"),
        (f"http://{'a' * 80}.x/v1", "is no address"),
        ("http://127.0.0.1:99999/v1", "is no address .*[Pp]ort"),
        ("http://127.0.0.1:0/v1", "expected an address like"),
        ("http:///v1", "expected an address like"),
        ("ftp://127.0.0.1/v1", "expected an address like"),
        ("http://127.0.0.1/v1?key=1", r"without \? and #"),
        ("http://127.0.0.1/\u00fc", "has letters that none can have; write %C3%BC for"),
        ("http://127.0.0.1/\x00", r"the path of 'http://127\.0\.0\.1/\\x00' has letters"),
    ],
)
def test_what_none_can_have_is_refused_with_what_is_wrong(url, why):
    """In one line, of the option it is."""
    with pytest.raises(ConfigError, match=why) as caught:
        refuse_bad_address(url)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["url"]


@pytest.mark.parametrize("rest", ["127.0.0.1/v1", "127.0.0.1:99999/v1", "[::1/v1"])
def test_a_password_in_an_address_is_refused_without_repeating_it(rest):
    """It would be written into the run's folder."""
    with pytest.raises(ConfigError, match="say `key: VARIABLE`") as caught:
        refuse_bad_address(f"https://user:s3cret@{rest}")
    assert "s3cret" not in str(caught.value)
