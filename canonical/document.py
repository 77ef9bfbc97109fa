"""Documents that carry scheduling and administrative facts, and the facts read from them with their evidence."""

from __future__ import annotations

from enum import StrEnum

from canonical.model import CodeableConcept, Date, Entity, Identifier, Instant, Many, Patient, Reference, Visit
from canonical.phi import Value
from canonical.presence import ABSENT, Tri


class PageBox(Value, frozen=True, kw_only=True):
    """A rectangle on a page, in parts of its width and height from the top left corner, in thousandths."""

    page: int
    """From 1."""
    left: int
    top: int
    width: int
    height: int


class Candidate(Value, frozen=True, kw_only=True):
    """Another reading that was considered."""

    value: str
    confidence: int
    """Thousandths."""
    box: Tri[PageBox] = ABSENT


class Verdict(StrEnum):
    """What a validator says of a value."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    """It could not tell: the table or the service was not there."""


class Validation(Value, frozen=True, kw_only=True):
    """One validator's word about a value. Confidence never overrides it (A1.3)."""

    validator: str
    verdict: Verdict
    finding: Tri[str] = ABSENT
    """Code of the finding, where it is not valid."""


class Extracted(Value, frozen=True, kw_only=True):
    """One field as read from a page: value, evidence and trust (canonical model, 7.2)."""

    field: str
    """Canonical path of the field: ``patient.birth_date``."""
    value: Tri[str] = ABSENT
    """As it went into the entity; absent where nothing could be read or believed."""
    raw: Tri[str] = ABSENT
    """The text as it stands on the page."""
    confidence: Tri[int] = ABSENT
    """Calibrated probability that the value is right, in thousandths."""
    method: Tri[str] = ABSENT
    """label, region, pattern, checkbox, table, key-value, person"""
    producer: Tri[str] = ABSENT
    """What read the page, with its version."""
    template: Tri[str] = ABSENT
    """Template and row that found it."""
    box: Tri[PageBox] = ABSENT
    alternatives: Many[Candidate] = ()
    validations: Many[Validation] = ()
    reviewed_by: Tri[str] = ABSENT
    """Who corrected or confirmed it; then `machine_value` keeps what was read."""
    machine_value: Tri[str] = ABSENT


class DocumentStatus(StrEnum):
    """Where a document stands (canonical model, 7.3)."""

    RECEIVED = "received"
    READ = "read"
    """Its text is known (by OCR or as sent)."""
    CLASSIFIED = "classified"
    EXTRACTED = "extracted"
    REVIEW = "review"
    FILED = "filed"
    SPLIT = "split"
    MISDIRECTED = "misdirected"
    OBSOLETE = "obsolete"
    CANCELLED = "cancelled"


class DocumentContent(Value, frozen=True, kw_only=True):
    """One part of a document as the message carries it (OBX). Bytes stay in the message (`Document.message_id`)."""

    sequence: Tri[int] = ABSENT
    """Its OBX: set id, from 1. Where the intake of documents finds the bytes."""
    type: Tri[CodeableConcept] = ABSENT
    """OBX-3"""
    kind: Tri[str] = ABSENT
    """OBX-2: TX, FT, ST text; ED bytes in the message; RP a pointer to them."""
    media: Tri[str] = ABSENT
    """ED-2, table HL70191: AP, application, Image, TEXT …"""
    subtype: Tri[str] = ABSENT
    """ED-3, table HL70291: PDF, JPEG, RTF …"""
    encoding: Tri[str] = ABSENT
    """ED-4: A, Hex, Base64."""
    pointer: Tri[str] = ABSENT
    """RP-1"""
    text: Many[str] = ()
    """One item a repetition: many senders repeat OBX-5 line by line."""


class DocumentRelation(StrEnum):
    """FHIR DocumentRelationshipType."""

    REPLACES = "replaces"
    APPENDS = "appends"
    TRANSFORMS = "transforms"
    SIGNS = "signs"


class Document(Entity, frozen=True, kw_only=True):
    """A document: a fax, a scan, a transcription (HL7 TXA, MDM and ORU with ED; FHIR DocumentReference)."""

    identifiers: Many[Identifier] = ()
    """TXA-12 unique number (type FILL), TXA-14 placer number (PLAC); a fax by the hash of its bytes (type ``SHA256``)."""
    parent: Tri[Identifier] = ABSENT
    """The document that this one adds to or replaces (TXA-13), or was split from."""
    relation: Tri[DocumentRelation] = ABSENT
    """What this document is to its parent."""
    kind: Tri[str] = ABSENT
    """referral, authorization, records, order, other: the class a template or TXA-2 gave."""
    type: Tri[CodeableConcept] = ABSENT
    """TXA-2"""
    status: Tri[DocumentStatus] = ABSENT
    completion: Tri[str] = ABSENT
    """TXA-17"""
    availability: Tri[str] = ABSENT
    """TXA-19"""
    confidentiality: Tri[str] = ABSENT
    """TXA-18"""
    title: Tri[str] = ABSENT
    media_type: Tri[str] = ABSENT
    message_id: Tri[str] = ABSENT
    """The message in the ledger that holds its bytes."""
    sha256: Tri[str] = ABSENT
    perceptual_hash: Many[str] = ()
    """One a page: alike for two scans of one sheet."""
    pages: Tri[int] = ABSENT
    bytes: Tri[int] = ABSENT
    language: Tri[str] = ABSENT
    originated_at: Tri[Instant] = ABSENT
    performed_at: Tri[Date] = ABSENT
    """When what it tells of was done (TXA-4, OBR-7)."""
    edited_at: Tri[Date] = ABSENT
    file_name: Tri[str] = ABSENT
    """TXA-16"""
    change_reason: Tri[str] = ABSENT
    """TXA-21"""
    service: Tri[CodeableConcept] = ABSENT
    """The order's service, where the document answers one (OBR-4)."""
    sender: Tri[str] = ABSENT
    """Fax number, mail address or folder it came from."""
    authors: Many[Reference] = ()
    authenticators: Many[Reference] = ()
    """Who must sign it, or has (TXA-10)."""
    patient: Tri[Patient] = ABSENT
    visit: Tri[Visit] = ABSENT
    order: Many[Identifier] = ()
    template: Tri[str] = ABSENT
    fields: Many[Extracted] = ()
    text: Many[str] = ()
    """The text where the message itself carries it (OBX TX, FT)."""
    contents: Many[DocumentContent] = ()
    """Its parts as the message carries them, in order."""
    control_id: Tri[str] = ABSENT
    """MSH-10: names the document where the sender gives it no number."""
    duplicate_of: Tri[Identifier] = ABSENT
    revision_of: Tri[Identifier] = ABSENT
