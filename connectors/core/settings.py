"""Settings of the CORE edges."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from connectors.http.settings import ClientSettings, Secret, Settings


class Submitter(Settings, frozen=True, kw_only=True):
    """Who we are, inside the envelope: WS-Security (soap), or the fields UserName and Password (mime)."""

    user: Annotated[str, Meta(min_length=1, description="Name of the submitter.")]
    password: Annotated[Secret, Meta(description="The password. It travels as text, so the url must be https, "
                                                 "or a loopback address.")]


class CoreClient(ClientSettings, frozen=True, kw_only=True):
    """What every exchange with a payer needs."""

    sender_id: Annotated[str, Meta(min_length=1, description="SenderID: who we are to the payer.")]
    receiver_id: Annotated[str, Meta(min_length=1, description="ReceiverID: the payer or clearing house.")]
    envelope: Annotated[Literal["soap", "mime", "rest"], Meta(
        description="'soap' (SOAP+WSDL, vC2.2.0), 'mime' (HTTP+MIME, vC2.2.0) or 'rest' (JSON, vC4.0.0)."
    )] = "soap"
    submitter: Annotated[Submitter | UnsetType, Meta(
        description="User and password inside the envelope; not needed with a client certificate (tls.cert).")
    ] = UNSET
    mtom: Annotated[bool, Meta(description="soap: send batches as MTOM attachments instead of base64.")] = False
    timeout_s: Annotated[float, Meta(gt=0, description="Seconds to wait for the whole answer (X13: 60).")] = 60.0
    max_response_bytes: Annotated[int, Meta(ge=1024, description="Bytes of an answer at most.")] = 67_108_864

    def __post_init__(self) -> None:
        super().__post_init__()
        local = ("http://127.0.0.1", "http://localhost", "http://[::1]")
        if self.submitter is not UNSET and not self.url.startswith(("https://", *local)):
            raise ValueError("submitter needs an https url")

    @property
    def rule_version(self) -> str:
        """CORERuleVersion."""
        return "4.0.0" if self.envelope == "rest" else "2.2.0"


class CoreOut(CoreClient, frozen=True, kw_only=True):
    """Sends X12 to a payer."""

    mode: Annotated[Literal["real-time", "batch"], Meta(
        description="'real-time': one inquiry, its answer in the same exchange. 'batch': inquiries are collected "
                    "and submitted together; the answers are fetched by a channel with connector core.")
    ] = "real-time"
    collect_s: Annotated[float, Meta(gt=0, le=3600, description="batch: seconds to wait for more inquiries "
                                                                "before what there is gets submitted.")] = 5.0
    max_batch: Annotated[int, Meta(ge=1, le=100_000, description="batch: inquiries of one submission at most; "
                                                                 "many payers allow 99 (X17). The destination's "
                                                                 "max_in_flight must be as large.")] = 99
    slow_s: Annotated[float, Meta(gt=0, description="Seconds after which an answer counts as slow (X13).")] = 20.0
    retry_after_s: Annotated[float, Meta(ge=0, description="Seconds at least before a payer that was away is "
                                                           "asked again (CORE 153: 90).")] = 90.0


class CoreIn(CoreClient, frozen=True, kw_only=True):
    """Fetches what a payer has ready: results of batches, and acknowledgements."""

    fetch: Annotated[tuple[str, ...], Meta(min_length=1, description="Payload types asked for, in this order.")] = (
        "X12_005010_Request_Batch_Results_271",)
    every_s: Annotated[float, Meta(gt=0, description="Seconds between looks where nothing was ready (batch "
                                                     "results are due by 7 am of the next business day, X14).")
                       ] = 300.0
