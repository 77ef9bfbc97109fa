"""Settings of the FHIR sender."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from connectors.http.settings import ClientSettings


class FhirOut(ClientSettings, frozen=True, kw_only=True):
    """Delivers resources and transactions to a FHIR R4 server."""

    prefer: Annotated[Literal["minimal", "representation", "OperationOutcome"], Meta(
        description="What the server should answer with (Prefer: return=…).")] = "minimal"
    strict: Annotated[bool, Meta(description="Ask the server to refuse what it does not understand in a "
                                             "condition (Prefer: handling=strict).")] = True
    verify_by_search: Annotated[bool, Meta(
        description="Before a plain create, search the resource by its identifier, and take it for delivered "
                    "where it is there. For servers without conditional create; makes it safe to declare the "
                    "destination idempotent, for the price of one search a create.")] = False
    keep_response: Annotated[bool, Meta(description="Keep the body of positive answers (negative ones are "
                                                    "always kept).")] = False
