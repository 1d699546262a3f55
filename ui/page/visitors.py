"""Identify visitors: by log-in, by a proxy's header, or by a signed cookie.

An owner is the text that the store keeps with a session, such as `visitor 3fd2…` or `user ann`. It is None
for the local user.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence

import streamlit as st
from itsdangerous import BadSignature, Signer

from assistant.vlm.errors import AssistantError

from . import settings
from .settings import Sessions
from .text import plain

# A year; every visit renews it.
COOKIE_SECONDS = 31_536_000
_LONGEST = 200
_SALT = "visitor"


class NoVisitorError(AssistantError):
    """A request does not say who the visitor is."""


class Cookie:
    """The signed cookie of a server: a random text for each browser."""

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, _SALT, digest_method=hashlib.sha256)
        # Browsers send cookies to every port of a host, so each store needs a name of its own.
        self.name = f"assistant-visitor-{hashlib.sha256(secret.encode()).hexdigest()[:8]}"

    def new(self) -> str:
        """Return a new value."""
        return self._signer.sign(secrets.token_hex(16)).decode()

    def read(self, cookies: Mapping[str, str]) -> str | None:
        """Return the random text, None if there is no cookie or it was not signed here."""
        try:
            return self._signer.unsign(cookies.get(self.name, "")).decode()
        except (BadSignature, UnicodeError):
            return None


def owner(named: Sequence[str], cookies: Mapping[str, str], cookie: Cookie) -> str:
    """Return the owner of a request's sessions.

    `named` are the values of the proxy's header, if there is one.

    Raises:
        NoVisitorError: the request has neither the header nor the cookie.
    """
    if settings.user_header() is not None:
        names = [name.strip() for name in named if name.strip()]
        if len(names) != 1 or len(names[0]) > _LONGEST:
            raise NoVisitorError(f"no user in {settings.user_header()}: open the page through its proxy")
        return f"user {names[0]}"
    token = cookie.read(cookies)
    if token is None:
        raise NoVisitorError("this page needs a cookie to keep your sessions: allow cookies, and reload it")
    return _logged_in.get(token) or f"visitor {token}"


def current(cookie: Cookie) -> str:
    """Return the owner of the running tab's sessions.

    Raises:
        NoVisitorError: the tab's requests have neither the header nor the cookie, or nobody is logged in.
    """
    named = st.context.headers.get_all(settings.user_header() or "")
    if not has_login():
        return owner(named, st.context.cookies, cookie)
    if not st.user.get("is_logged_in"):
        raise NoVisitorError("log in first")
    user = f"user {st.user.get('iss')} {st.user.get('sub')}"
    # Requests for images carry the cookie alone.
    if token := cookie.read(st.context.cookies):
        _logged_in[token] = user
    return user


# The logged-in user of each browser, by the text of its cookie.
_logged_in: dict[str, str] = {}


def has_login() -> bool:
    """Return whether Streamlit's log-in by OpenID Connect is configured."""
    return "is_logged_in" in st.user


def admit() -> bool:
    """Return whether the visitor may see the page; show the log-in if not."""
    if not has_login() or st.user.get("is_logged_in"):
        return True
    st.markdown("# Please log in")
    st.button("Log in", type="primary", on_click=st.login, key="log-in")
    return False


def show_name() -> None:
    """Show who the visitor is, where that is known, and how to log out."""
    if has_login():
        name = str(st.user.get("name") or st.user.get("email") or "")
        st.button(f"Log out {plain(name, 40)}".strip(), type="tertiary", on_click=st.logout, key="log-out")
    elif settings.sessions() is Sessions.SEPARATE and (header := settings.user_header()):
        st.caption(plain(st.context.headers.get(header) or "", 60))
