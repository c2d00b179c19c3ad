"""Log in at the real Keycloak as a person does: through its form, following the code flow with PKCE.

The browser itself lives in ``regiohub_local``, because ``make demo`` logs in the same way.
"""

import base64
import json
from typing import Any

from regiohub_local.form_browser import Client, Form, FormBrowser, FormError, Tokens, authorization_url, forms, message

__all__ = [
    "Client",
    "Form",
    "FormBrowser",
    "FormError",
    "Tokens",
    "authorization_url",
    "claims",
    "forms",
    "header",
    "login",
    "message",
]


def _part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def claims(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    return _part(token, 1)


def header(token: str) -> dict[str, Any]:
    """The header of a token."""
    return _part(token, 0)


async def login(client: Client, username: str, password: str) -> Tokens:
    """A fresh browser logs in once."""
    async with FormBrowser() as browser:
        return await browser.login(client, username, password)
