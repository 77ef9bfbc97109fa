"""What is known beside the page: providers, patients, payers' numbers. Handed in, never fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec

from canonical.findings import Rejection, Severity, declare
from canonical.phi import Value
from mapper import document
from mapper.document import Node

BAD_MASTER: Final = declare("extract.master_data", Severity.FATAL, "the master data cannot be used",
                            "two lists of rows, `providers` and `patients`; see docs/documents.md")


class KnownProvider(Value, frozen=True, kw_only=True):
    """A provider of the directory."""

    npi: str
    family: str
    given: str = ""


class KnownPatient(Value, frozen=True, kw_only=True):
    """A patient of the master index."""

    mrn: str
    family: str
    given: str = ""
    birth_date: str = ""


class MasterData(Protocol):
    """Who is known. A look-up that cannot be made (the file or the service is away) is not *unknown person*: it is
    no directory at all, and the validator says that it could not tell."""

    def has_providers(self) -> bool:
        """Whether there is a directory of providers to ask."""

    def has_patients(self) -> bool:
        """Whether there is an index of patients to ask."""

    def provider(self, npi: str) -> KnownProvider | None:
        """The provider of that NPI."""

    def patient(self, mrn: str) -> KnownPatient | None:
        """The patient of that record number."""


class Nobody:
    """No master data at all."""

    def has_providers(self) -> bool:
        """Never."""
        return False

    def has_patients(self) -> bool:
        """Never."""
        return False

    def provider(self, _npi: str) -> KnownProvider | None:
        """None."""
        return None

    def patient(self, _mrn: str) -> KnownPatient | None:
        """None."""
        return None


class Listed:
    """Master data in memory: from a file, a test, an export."""

    def __init__(self, providers: Iterable[KnownProvider] = (), patients: Iterable[KnownPatient] = ()) -> None:
        self._providers = {each.npi: each for each in providers}
        self._patients = {each.mrn: each for each in patients}

    @classmethod
    def read(cls, source: bytes, file: str) -> Listed:
        """From a YAML file. Raises Rejection, located."""
        return cls(*_lists(source, file))

    def has_providers(self) -> bool:
        """Where the list holds any."""
        return bool(self._providers)

    def has_patients(self) -> bool:
        """Where the list holds any."""
        return bool(self._patients)

    def provider(self, npi: str) -> KnownProvider | None:
        """See `MasterData`."""
        return self._providers.get(npi)

    def patient(self, mrn: str) -> KnownPatient | None:
        """See `MasterData`."""
        return self._patients.get(mrn)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    providers: tuple[KnownProvider, ...] = ()
    patients: tuple[KnownPatient, ...] = ()


def _lists(source: bytes, file: str) -> tuple[tuple[KnownProvider, ...], tuple[KnownPatient, ...]]:
    try:
        both = document.to_struct(document.parse(source, file), _File)
    except Rejection as rejection:
        raise Rejection(*(msgspec.structs.replace(found, code=BAD_MASTER.name) for found in rejection.findings)) from None
    return both.providers, both.patients


class _Stated(_File, frozen=True, forbid_unknown_fields=True):
    payers: dict[str, str] = {}


def listed(node: Node) -> Known:
    """What a case says is known: ``payers``, ``providers``, ``patients``. Raises Rejection, located."""
    said = document.to_struct(document.mapping(node, node.mark, "known"), _Stated)
    return Known(payers=said.payers, master=Listed(said.providers, said.patients))


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a site knows that a value can be checked against."""

    payers: Mapping[str, str] = {}
    """Payer (canonical) -> pattern of its member ids."""
    master: MasterData = Nobody()


def bare(field: str) -> str:
    """A canonical field without its brackets: ``patient.telecom.value``."""
    return re.sub(r"\([^()]*\)", "", field)
