"""Settings that come from the environment; secrets that never show themselves.

Nothing here reads ``os.environ`` by itself: the environment is an argument.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from orchestrator.errors import CredentialsError, UsageError

DEFAULT_BASE_URL = "https://api.topview.ai"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REHEARSE = "or rehearse without an account: orchestrator run MANIFEST --emulator"


class Secret:
    """A text that shows itself to nobody who did not ask: ``repr`` and ``str`` are ``***``."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written down")


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorSettings:
    """Which vendor, as whom.

    ``base_url`` is normalised (see :func:`normal_url`). ``need_cloudfront`` asks for CloudFront
    links to the results; False asks for S3 links, for networks that reach only those.
    """

    base_url: str
    uid: str
    api_key: Secret
    need_cloudfront: bool = True


def vendor_settings(env: Mapping[str, str]) -> VendorSettings:
    """Read ``TOPVIEW_API_KEY`` or ``TOPVIEW_API_KEY_FILE``, ``TOPVIEW_UID``, ``TOPVIEW_BASE_URL``.

    Reads the key file, if one is named.

    Raises:
        CredentialsError: something is missing or unusable; the message says what to type.
    """
    missing = [name for name in ("TOPVIEW_UID",) if not env.get(name, "").strip()]
    key = _api_key(env)
    if not key:
        missing.insert(0, "TOPVIEW_API_KEY")
    if missing:
        raise CredentialsError(_what_to_type(missing))
    uid = env["TOPVIEW_UID"].strip()
    _refuse_unsendable("TOPVIEW_UID", uid)
    _refuse_unsendable("TOPVIEW_API_KEY", key)
    base_url = normal_url(env.get("TOPVIEW_BASE_URL", "").strip() or DEFAULT_BASE_URL)
    return VendorSettings(base_url=base_url, uid=uid, api_key=Secret(key))


def _what_to_type(missing: list[str]) -> str:
    names = " and ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    typed = "; ".join(f"export {name}=..." for name in missing)
    return (
        f"{names} {verb} not set; both values stand on the API page of your TopView account: "
        f"{typed}; {_REHEARSE}"
    )


def _api_key(env: Mapping[str, str]) -> str:
    """The key from the variable or the file; "" if neither is set."""
    direct = env.get("TOPVIEW_API_KEY", "").strip()
    file = env.get("TOPVIEW_API_KEY_FILE", "").strip()
    if direct and file:
        raise CredentialsError(
            "TOPVIEW_API_KEY and TOPVIEW_API_KEY_FILE are both set; unset one of them"
        )
    if not file:
        return direct
    try:
        key = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text file"
        raise CredentialsError(
            f"TOPVIEW_API_KEY_FILE names {file}, which cannot be read: {why}; "
            "name a file that holds the API key and nothing else"
        ) from error
    if not key:
        raise CredentialsError(
            f"TOPVIEW_API_KEY_FILE names {file}, which is empty; write the API key into it"
        )
    return key


def _refuse_unsendable(name: str, text: str) -> None:
    """A header takes printable ASCII without blanks; anything else would fail in mid-request."""
    if not all("!" <= c <= "~" for c in text):
        raise CredentialsError(
            f"{name} holds a blank, a line break or a character that is not ASCII; "
            "copy the value again, without quotes"
        )


def normal_url(text: str) -> str:
    """One spelling for one address: lower-case scheme and host, no default port, no slash at
    the end; a path is kept.

    Raises:
        CredentialsError: it is no http or https address, or holds credentials, a query or a
            fragment.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _bad_url(text) from error
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in _DEFAULT_PORTS or not host or _is_dressed(parts):
        raise _bad_url(text)
    shown = f"[{host}]" if ":" in host else host
    suffix = "" if port is None or port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{shown}{suffix}{parts.path.rstrip('/')}"


def _is_dressed(parts: SplitResult) -> bool:
    extras = (parts.username, parts.password, parts.query, parts.fragment)
    return any(extras) or any(c.isspace() for c in parts.geturl())


def _bad_url(text: str) -> CredentialsError:
    shown = text.rpartition("@")[2].partition("?")[0]
    return CredentialsError(
        f"TOPVIEW_BASE_URL is no plain http or https address: {shown}; "
        f"unset it, or type: export TOPVIEW_BASE_URL={DEFAULT_BASE_URL}"
    )


def identity(settings: VendorSettings) -> str:
    """The account in one line, for its salted hash: base URL and uid."""
    return f"{settings.base_url}|{settings.uid}"


def state_dir(explicit: Path | None, env: Mapping[str, str], manifest_path: Path | None) -> Path:
    """Where the state store lives, as an absolute path; nothing is created.

    The first of: ``--state``, ``ORCHESTRATOR_STATE``, ``state`` beside the manifest, ``state``
    in the current folder.
    """
    named = env.get("ORCHESTRATOR_STATE", "").strip()
    if explicit is not None:
        return explicit.expanduser().absolute()
    if named:
        return Path(named).expanduser().absolute()
    beside = manifest_path.parent if manifest_path is not None else Path()
    return (beside / "state").absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """Which proxy a request takes; loopback addresses never take one.

    ``by_scheme`` maps "http" and "https" to a proxy's URL (which may hold a password);
    ``bypass`` is the text of ``NO_PROXY``: comma-separated host endings, or "*".
    """

    by_scheme: Mapping[str, str] = field(default_factory=dict, repr=False)
    bypass: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Proxies:
        """Read ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``; lower case wins.

        ``HTTP_PROXY`` in upper case is not read in a CGI environment, where a client of the
        web server could set it.
        """
        everything = _either(env, "all_proxy")
        plain = env.get("http_proxy", "") if "REQUEST_METHOD" in env else _either(env, "http_proxy")
        found = {"https": _either(env, "https_proxy") or everything, "http": plain or everything}
        by_scheme = {s: _with_scheme(p) for s, p in found.items() if p}
        return cls(by_scheme=by_scheme, bypass=_either(env, "no_proxy"))

    def for_url(self, url: str) -> str | None:
        """The proxy's URL for a request to ``url``; None: go there directly.

        Raises:
            UsageError: the proxy is not one that is spoken to with http or https.
        """
        if not self.by_scheme:
            return None
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return None
        if _is_loopback(host) or self._bypasses(host, port):
            return None
        proxy = self.by_scheme.get(parts.scheme.lower())
        if proxy is not None and not proxy.lower().startswith(("http://", "https://")):
            raise UsageError(
                f"The environment names a {proxy.partition(':')[0]} proxy for {host}, but only "
                "http and https proxies can be used; set HTTPS_PROXY to one, or unset it"
            )
        return proxy

    def _bypasses(self, host: str, port: int | None) -> bool:
        names = [n.strip().lower().lstrip("*").lstrip(".") for n in self.bypass.split(",")]
        if self.bypass.strip() == "*":
            return True
        candidates = (host, f"{host}:{port}")
        return any(n and (c == n or c.endswith("." + n)) for n in names for c in candidates)


def _either(env: Mapping[str, str], name: str) -> str:
    return (env.get(name) or env.get(name.upper()) or "").strip()


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
