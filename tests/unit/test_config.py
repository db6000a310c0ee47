"""Settings from the environment, and secrets that stay secret."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.config import (
    DEFAULT_BASE_URL,
    Proxies,
    Secret,
    VendorSettings,
    identity,
    normal_url,
    state_dir,
    vendor_settings,
)
from orchestrator.errors import CredentialsError, UsageError

FULL = {"TOPVIEW_API_KEY": "key-1", "TOPVIEW_UID": "uid-1"}


def test_the_settings_are_read_from_the_environment() -> None:
    assert vendor_settings(FULL) == VendorSettings(
        base_url=DEFAULT_BASE_URL, uid="uid-1", api_key=Secret("key-1")
    )


def test_the_key_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("  key-2\n")
    env = {"TOPVIEW_API_KEY_FILE": str(file), "TOPVIEW_UID": "uid-1"}
    assert vendor_settings(env).api_key.reveal() == "key-2"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, r"TOPVIEW_API_KEY and TOPVIEW_UID are not set.*export TOPVIEW_API_KEY=.*--emulator"),
        ({"TOPVIEW_API_KEY": "k"}, r"^TOPVIEW_UID is not set.*export TOPVIEW_UID="),
        ({"TOPVIEW_UID": "u"}, r"^TOPVIEW_API_KEY is not set"),
        ({"TOPVIEW_UID": "u", "TOPVIEW_API_KEY": "  "}, r"^TOPVIEW_API_KEY is not set"),
        (FULL | {"TOPVIEW_API_KEY_FILE": "/f"}, r"both set; unset one"),
        (FULL | {"TOPVIEW_API_KEY": "a\nb"}, r"TOPVIEW_API_KEY holds a blank, a line break"),
        (FULL | {"TOPVIEW_UID": "ü"}, r"TOPVIEW_UID holds"),
        (FULL | {"TOPVIEW_BASE_URL": "ftp://x"}, r"TOPVIEW_BASE_URL is no plain http"),
    ],
)
def test_what_is_missing_or_wrong_is_named(env: Mapping[str, str], words: str) -> None:
    with pytest.raises(CredentialsError, match=words):
        vendor_settings(env)


def test_a_key_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path, words in (
        (tmp_path / "none", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (empty, "is empty"),
        (binary, "no text file"),
    ):
        with pytest.raises(CredentialsError, match=words):
            vendor_settings({"TOPVIEW_API_KEY_FILE": str(path), "TOPVIEW_UID": "u"})


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://api.topview.ai", "https://api.topview.ai"),
        ("HTTPS://API.TopView.AI/", "https://api.topview.ai"),
        ("https://h:443/", "https://h"),
        ("http://h:80", "http://h"),
        ("http://h:8080//", "http://h:8080"),
        ("http://127.0.0.1:0", "http://127.0.0.1:0"),
        ("https://h/Proxy/Path/", "https://h/Proxy/Path"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_one_address_has_one_spelling(text: str, normal: str) -> None:
    assert normal_url(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://h:x",
        "http://me:word@h",
        "http://h?x=1",
        "http://h#x",
        "http://h/a b",
        "http://[::1",
    ],
)
def test_an_address_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        normal_url(text)
    assert "word" not in str(caught.value)


def test_a_secret_does_not_show() -> None:
    secret = Secret("key-1")
    settings = VendorSettings(base_url="http://h", uid="u", api_key=secret)
    shown = f"{secret} {secret!r} {secret!s:>5} {settings} {[secret]}"
    assert "key-1" not in shown
    assert (secret.reveal(), str(secret)) == ("key-1", "***")


def test_a_secret_is_compared_and_never_pickled() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert (bool(Secret("")), bool(Secret("a"))) == (False, True)
    with pytest.raises(TypeError):
        pickle.dumps(Secret("a"))
    with pytest.raises(TypeError):
        copy.copy(Secret("a"))


def test_the_identity_of_an_account_is_address_and_uid() -> None:
    settings = vendor_settings(FULL | {"TOPVIEW_BASE_URL": "HTTP://H:80/"})
    assert identity(settings) == "http://h|uid-1"


def test_the_state_folder_is_where_it_was_asked_for(tmp_path: Path) -> None:
    env = {"ORCHESTRATOR_STATE": str(tmp_path / "env")}
    manifest = tmp_path / "jobs" / "jobs.yaml"
    assert state_dir(tmp_path / "flag", env, manifest) == tmp_path / "flag"
    assert state_dir(None, env, manifest) == tmp_path / "env"
    assert state_dir(None, {}, manifest) == tmp_path / "jobs" / "state"
    assert state_dir(None, {"ORCHESTRATOR_STATE": " "}, None) == Path.cwd() / "state"


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_dir(Path("~/s"), {}, None) == tmp_path / "s"
    assert state_dir(None, {"ORCHESTRATOR_STATE": "~/t"}, None) == tmp_path / "t"


PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("env", "url", "proxy"),
    [
        ({}, "https://h/", None),
        ({"HTTPS_PROXY": PROXY}, "https://h/", PROXY),
        ({"HTTPS_PROXY": PROXY}, "http://h/", None),
        ({"HTTPS_PROXY": "proxy:3128"}, "https://h/", PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, "https://h/", PROXY),
        ({"ALL_PROXY": PROXY}, "http://h/", PROXY),
        ({"HTTP_PROXY": PROXY}, "http://h/", PROXY),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://h/", None),
        ({"HTTPS_PROXY": PROXY}, "https://127.0.0.1:8443/", None),
        ({"HTTPS_PROXY": PROXY}, "https://[::1]/", None),
        ({"HTTPS_PROXY": PROXY}, "https://LOCALHOST/", None),
        ({"HTTPS_PROXY": PROXY}, "https://localhost.example.com/", PROXY),
        ({"HTTPS_PROXY": PROXY}, "https://[", None),
    ],
)
def test_the_proxy_of_a_request(env: Mapping[str, str], url: str, proxy: str | None) -> None:
    assert Proxies.from_env(env).for_url(url) == proxy


@pytest.mark.parametrize(
    ("bypass", "url", "direct"),
    [
        ("*", "https://h/", True),
        ("example.com", "https://example.com/", True),
        ("example.com", "https://api.EXAMPLE.com/", True),
        (".example.com", "https://api.example.com/", True),
        ("*.example.com", "https://api.example.com/", True),
        ("a.com, example.com", "https://example.com/", True),
        ("example.com:8443", "https://example.com:8443/", True),
        ("example.com:8443", "https://example.com/", False),
        ("example.com", "https://notexample.com/", False),
        ("", "https://h/", False),
        (",", "https://h/", False),
    ],
)
def test_hosts_that_bypass_the_proxy(bypass: str, url: str, direct: bool) -> None:
    env = {"HTTPS_PROXY": PROXY, "NO_PROXY": bypass}
    assert (Proxies.from_env(env).for_url(url) is None) is direct


def test_a_proxy_of_another_kind_is_refused_where_it_would_be_used() -> None:
    proxies = Proxies.from_env({"ALL_PROXY": "socks5://me:word@proxy:1080"})
    with pytest.raises(UsageError, match="socks5 proxy for h, but only http") as caught:
        proxies.for_url("https://h/")
    assert "word" not in str(caught.value)
    assert proxies.for_url("https://127.0.0.1/") is None


def test_the_password_of_a_proxy_does_not_show() -> None:
    assert "word" not in repr(Proxies.from_env({"HTTPS_PROXY": "http://me:word@proxy"}))
