"""Signing in: which tokens are good, for how long, and what `POST /api/oauth2/token` answers.

A token's life is counted in real seconds on the monotonic clock, not on the simulated one: moving the simulated
clock on by a month signs nobody out. Tokens are opaque text in the look of the vendor's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import JSONResponse, Response

from etl.simulator.problems import bad_request, sign_in_refused
from etl.simulator.shapes import instant

TOKEN_PATH = "/api/oauth2/token"  # noqa: S105 - a path
MFA_CODE = "246810"
_JWT_HEAD = "eyJhbGciOiJSUzUxMiIsInR5cCI6IkpXVCJ9"


@dataclass(frozen=True, slots=True)
class Account:
    """The one account of a simulated appliance; with `mfa` a password alone does not sign in."""

    username: str
    password: str
    role: str
    mfa: bool


class SignIn:
    """Gives out, checks and withdraws tokens.

    `expires_in` and `refresh_expires_in` are lives in seconds; `refusal` is the status (400 or 401) of a refused
    sign-in, which the vendor does not document.
    """

    def __init__(self, account: Account, expires_in: float, refresh_expires_in: float, refusal: int) -> None:
        self.issued: list[str] = []
        self._account = account
        self._expires_in = expires_in
        self._refresh_expires_in = refresh_expires_in
        self._refusal = refusal
        self._access: dict[str, float] = {}
        self._refresh: dict[str, float] = {}
        self._partner: dict[str, str] = {}
        self._mfa_tokens: set[str] = set()

    def is_good(self, authorization: str | None) -> bool:
        """Say whether an `Authorization` header carries an access token that lives."""
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and self._access.get(token, 0.0) > time.monotonic()

    def expire(self, *, refresh_too: bool = False) -> None:
        """Let every access token given out so far expire now, and the refresh tokens if so wished."""
        self._access.clear()
        if refresh_too:
            self._refresh.clear()

    def end(self, authorization: str | None) -> None:
        """Log out: the access token and the refresh token given with it die."""
        token = (authorization or "").partition(" ")[2]
        self._access.pop(token, None)
        self._refresh.pop(self._partner.pop(token, ""), None)

    def grant(self, form: Mapping[str, str], now: datetime) -> Response:
        """Answer a form whose names may be in any case; `now` is the time told in `.issued` and `.expires`."""
        fields = {name.lower(): value for name, value in form.items()}
        grant_type = fields.get("grant_type") or "password"
        if grant_type.lower() == "password":
            return self._by_password(fields, now)
        if grant_type.lower() == "refresh_token":
            return self._by_refresh_token(fields, now)
        if grant_type.lower() == "mfa":
            return self._by_code(fields, now)
        return bad_request({"grant_type": [f"The value '{grant_type}' is not valid."]})

    def _by_password(self, fields: Mapping[str, str], now: datetime) -> Response:
        missing = [name for name in ("username", "password") if not fields.get(name)]
        if missing:
            return bad_request({name: [f"The {name} field is required."] for name in missing})
        account = self._account
        if (fields["username"], fields["password"]) != (account.username, account.password):
            return self._refuse("The user name or the password is incorrect.")
        if not account.mfa:
            return self._tokens(now)
        mfa_token = self._make_token()
        self._mfa_tokens.add(mfa_token)
        return JSONResponse(
            {
                "access_token": None,
                "token_type": "bearer",
                "refresh_token": None,
                "expires_in": 0,
                "mfa_enabled": True,
                "mfa_token": mfa_token,
            }
        )

    def _by_refresh_token(self, fields: Mapping[str, str], now: datetime) -> Response:
        # Used or not, this token is spent: the stricter of two readings of what the vendor leaves open.
        if self._refresh.pop(fields.get("refresh_token", ""), 0.0) <= time.monotonic():
            return self._refuse("The refresh token is invalid or expired.")
        return self._tokens(now)

    def _by_code(self, fields: Mapping[str, str], now: datetime) -> Response:
        mfa_token = fields.get("mfa_token", "")
        if mfa_token not in self._mfa_tokens or fields.get("mfa_code") != MFA_CODE:
            return self._refuse("The code is incorrect.")
        self._mfa_tokens.discard(mfa_token)
        return self._tokens(now)

    def _refuse(self, detail: str) -> Response:
        return sign_in_refused(self._refusal, detail, TOKEN_PATH)

    def _tokens(self, now: datetime) -> Response:
        access, refresh = self._make_token(), self._make_token()
        self._access[access] = time.monotonic() + self._expires_in
        self._refresh[refresh] = time.monotonic() + self._refresh_expires_in
        self._partner[access] = refresh
        account = self._account
        return JSONResponse(
            {
                "access_token": access,
                "token_type": "bearer",
                "refresh_token": refresh,
                "expires_in": int(self._expires_in),
                ".issued": instant(now),
                ".expires": instant(now + timedelta(seconds=self._expires_in)),
                "userId": "1",
                "username": account.username,
                "roleName": account.role,
                "userType": "Internal",
                "mfa_enabled": account.mfa,
                "mfa_token": None,
                "redirectTo": None,
                "latestNewsShown": True,
                "shortLived": False,
            }
        )

    def _make_token(self) -> str:
        token = f"{_JWT_HEAD}.{secrets.token_urlsafe(48)}.{secrets.token_urlsafe(64)}"
        self.issued.append(token)
        return token
