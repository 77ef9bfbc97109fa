"""Settings of the HTTP edges. Secrets are named here, never written (Z13)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from canonical.findings import Rejection, finding
from connectors.hl7v2.settings import TlsClient, TlsServer
from connectors.http.codes import SETTING


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all settings: unknown keys are errors."""


class Secret(Settings, frozen=True, kw_only=True):
    """Where a secret is kept: exactly one of an environment variable or a file."""

    env: Annotated[str, Meta(description="Name of the environment variable that holds the secret.")] = ""
    file: Annotated[str, Meta(description="Path of a file whose content, without the final newline, is the "
                                          "secret. It is read again when the peer refuses the credentials, "
                                          "so a secret can be rotated without a restart.")] = ""

    def __post_init__(self) -> None:
        if bool(self.env) == bool(self.file):
            raise ValueError("a secret names either env or file")

    def read(self) -> str:
        """The secret itself.

        Raises:
            Rejection: the variable is not set, or the file cannot be read, or it is empty.
        """
        if self.env:
            value, place = os.environ.get(self.env, ""), f"environment variable {self.env}"
        else:
            place = f"file {self.file}"
            try:
                value = Path(self.file).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise Rejection(finding(SETTING, detail=f"{place} cannot be read")) from error
        if not value:
            raise Rejection(finding(SETTING, detail=f"{place} is not set or empty"))
        return value


class NoAuth(Settings, frozen=True, kw_only=True, tag_field="type", tag="none"):
    """No credentials."""


class Bearer(Settings, frozen=True, kw_only=True, tag_field="type", tag="bearer"):
    """``Authorization: Bearer`` (RFC 6750)."""

    token: Annotated[Secret, Meta(description="The token.")]


class Basic(Settings, frozen=True, kw_only=True, tag_field="type", tag="basic"):
    """``Authorization: Basic`` (RFC 7617)."""

    user: Annotated[str, Meta(description="Name of the user.")]
    password: Annotated[Secret, Meta(description="The password.")]


class OAuth(Settings, frozen=True, kw_only=True, tag_field="type", tag="oauth"):
    """A bearer token fetched with client credentials (RFC 6749 §4.4), and renewed before it expires."""

    token_url: Annotated[str, Meta(pattern=r"^https?://[^?#@\s]+$", description="Where tokens are given out.")]
    client_id: Annotated[str, Meta(min_length=1, description="Who we are there.")]
    client_secret: Annotated[Secret, Meta(description="The secret that goes with it.")]
    scope: Annotated[str, Meta(description="What is asked for, separated by blanks.")] = ""

    def __post_init__(self) -> None:
        local = ("http://127.0.0.1", "http://localhost", "http://[::1]")
        if not self.token_url.startswith(("https://", *local)):
            raise ValueError("token_url must be https")


class Hmac(Settings, frozen=True, kw_only=True, tag_field="type", tag="hmac"):
    """A signature over time and body: ``hex(HMAC-SHA256(secret, timestamp + "." + body))`` (Z19)."""

    secret: Annotated[Secret, Meta(description="The key both sides share.")]
    signature_header: Annotated[str, Meta(description="Header with the signature in hex; a prefix "
                                                      "'sha256=' is allowed.")] = "X-Signature"
    timestamp_header: Annotated[str, Meta(description="Header with the sending time in seconds since "
                                                      "1970-01-01 UTC.")] = "X-Timestamp"
    window_s: Annotated[int, Meta(ge=1, le=3600, description="How far the sending time may be from ours, "
                                                             "in seconds.")] = 300


ClientAuth: TypeAlias = NoAuth | Bearer | Basic | OAuth
ServerAuth: TypeAlias = NoAuth | Bearer | Basic | Hmac


class ClientSettings(Settings, frozen=True, kw_only=True):
    """What every client over HTTP needs to know of its peer."""

    url: Annotated[str, Meta(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
                             description="Base URL of the peer. Nothing is ever sent outside it (Z19).")]
    auth: Annotated[ClientAuth, Meta(description="Credentials.")] = NoAuth()
    tls: Annotated[TlsClient | UnsetType, Meta(
        description="Certificates, for https; default: the peer's must be one that the system trusts.")] = UNSET
    headers: Annotated[dict[str, str], Meta(description="Fixed headers of every request. Never credentials."
                                            )] = msgspec.field(default_factory=dict)
    max_sessions: Annotated[int, Meta(ge=1, le=256, description="Connections, and so requests under way, at "
                                                                "most.")] = 8
    connect_timeout_s: Annotated[float, Meta(gt=0, description="Seconds to wait for a connection.")] = 5.0
    timeout_s: Annotated[float, Meta(gt=0, description="Seconds to wait for the whole answer.")] = 30.0
    keepalive_s: Annotated[float, Meta(gt=0, description="Seconds an idle connection is kept. Keep it below "
                                                         "the peer's own limit.")] = 15.0
    max_response_bytes: Annotated[int, Meta(ge=1024, description="Bytes of an answer that are read and kept; "
                                                                 "the rest is dropped.")] = 1_048_576

    def __post_init__(self) -> None:
        if any(name.lower() in {"authorization", "proxy-authorization", "cookie"} for name in self.headers):
            raise ValueError("headers may not hold credentials: use auth")


class HttpOut(ClientSettings, frozen=True, kw_only=True):
    """Sends each message as one HTTP request."""

    method: Annotated[Literal["POST", "PUT", "PATCH"], Meta(description="Method of the request.")] = "POST"
    identity_header: Annotated[str, Meta(description="Header that carries the stable id of the delivery, so "
                                                     "that the peer can recognise a repetition.")
                               ] = "Idempotency-Key"
    on_conflict: Annotated[Literal["retry", "delivered", "reject"], Meta(
        description="What 409 means at this peer: 'retry' another request with this key is under way; "
                    "'delivered' the peer has it already; 'reject' the content conflicts.")] = "retry"
    keep_response: Annotated[bool, Meta(description="Keep the body of positive answers (negative ones are "
                                                    "always kept).")] = False


class HttpIn(Settings, frozen=True, kw_only=True):
    """Takes messages by POST. A positive answer is given after the message is stored, never before."""

    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 takes a free one (tests).")]
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    path: Annotated[str, Meta(pattern=r"^/", description="The one path that is served.")] = "/"
    auth: Annotated[ServerAuth, Meta(description="How clients prove who they are, before their body is read. "
                                                 "'none' is only allowed on a loopback host or with "
                                                 "tls.require_client.")] = NoAuth()
    tls: Annotated[TlsServer | UnsetType, Meta(description="TLS; default plain HTTP.")] = UNSET
    format: Annotated[Literal["media-type", "document"], Meta(
        description="'media-type': HL7 v2 where its media type says so, else whatever it is; 'document': a fax, a scan or a "
                    "reading of pages, told by its first bytes. Name its media types in content_types.")] = "media-type"
    content_types: Annotated[frozenset[str], Meta(description="Media types that are taken.")] = frozenset({
        "application/json", "application/fhir+json", "application/xml", "text/xml",
        "x-application/hl7-v2+er7", "application/hl7-v2"})
    max_bytes: Annotated[int, Meta(ge=1, description="Bytes of a body at most; more is refused with 413 before "
                                                     "it is read.")] = 10_485_760
    body_timeout_s: Annotated[float, Meta(gt=0, description="Seconds a client may take to send its body."
                                          )] = 30.0
    max_in_flight: Annotated[int, Meta(ge=1, description="Requests worked on at the same time; more get 503 "
                                                         "and Retry-After.")] = 256
    retry_after_s: Annotated[int, Meta(ge=1, description="Seconds named in Retry-After with 503.")] = 5
    identity_header: Annotated[str, Meta(description="Header by which a repetition is recognised, for content "
                                                     "that has no control id of its own.")] = "Idempotency-Key"

    def __post_init__(self) -> None:
        mutual = self.tls is not UNSET and self.tls.require_client
        if isinstance(self.auth, NoAuth) and not mutual and self.host not in LOOPBACK:
            raise ValueError("auth 'none' is only allowed on a loopback host or with tls.require_client")


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
