"""Elements of the R4 resources that speak with payers: eligibility, claims, and what payers answer.

Read by `connectors.fhir.r4`, in the same form.
"""

from __future__ import annotations

from typing import Final

TYPES: Final[dict[str, str]] = {
    "Claim": (
        "accident:ClaimAccident billablePeriod:Period careTeam:ClaimCareTeam* contained:Resource* created:dateTime "
        "diagnosis:ClaimDiagnosis* enterer:Reference extension:Extension* facility:Reference "
        "fundsReserve:CodeableConcept id:id identifier:Identifier* implicitRules:uri insurance:ClaimInsurance* "
        "insurer:Reference item:ClaimItem* language:code meta:Meta modifierExtension:Extension* "
        "originalPrescription:Reference patient:Reference payee:ClaimPayee prescription:Reference "
        "priority:CodeableConcept procedure:ClaimProcedure* provider:Reference referral:Reference "
        "related:ClaimRelated* status:code subType:CodeableConcept supportingInfo:ClaimSupportingInfo* "
        "text:Narrative total:Money type:CodeableConcept use:code"
    ),
    "ClaimAccident": (
        "date:date extension:Extension* id:string locationAddress:Address locationReference:Reference "
        "modifierExtension:Extension* type:CodeableConcept"
    ),
    "ClaimCareTeam": (
        "extension:Extension* id:string modifierExtension:Extension* provider:Reference "
        "qualification:CodeableConcept responsible:boolean role:CodeableConcept sequence:positiveInt"
    ),
    "ClaimDiagnosis": (
        "diagnosisCodeableConcept:CodeableConcept diagnosisReference:Reference extension:Extension* id:string "
        "modifierExtension:Extension* onAdmission:CodeableConcept packageCode:CodeableConcept sequence:positiveInt "
        "type:CodeableConcept*"
    ),
    "ClaimInsurance": (
        "businessArrangement:string claimResponse:Reference coverage:Reference extension:Extension* focal:boolean "
        "id:string identifier:Identifier modifierExtension:Extension* preAuthRef:string* sequence:positiveInt"
    ),
    "ClaimItem": (
        "bodySite:CodeableConcept careTeamSequence:positiveInt* category:CodeableConcept detail:ClaimItemDetail* "
        "diagnosisSequence:positiveInt* encounter:Reference* extension:Extension* factor:decimal id:string "
        "informationSequence:positiveInt* locationAddress:Address locationCodeableConcept:CodeableConcept "
        "locationReference:Reference modifier:CodeableConcept* modifierExtension:Extension* net:Money "
        "procedureSequence:positiveInt* productOrService:CodeableConcept programCode:CodeableConcept* "
        "quantity:Quantity revenue:CodeableConcept sequence:positiveInt servicedDate:date servicedPeriod:Period "
        "subSite:CodeableConcept* udi:Reference* unitPrice:Money"
    ),
    "ClaimItemDetail": (
        "category:CodeableConcept extension:Extension* factor:decimal id:string modifier:CodeableConcept* "
        "modifierExtension:Extension* net:Money productOrService:CodeableConcept programCode:CodeableConcept* "
        "quantity:Quantity revenue:CodeableConcept sequence:positiveInt subDetail:ClaimItemDetailSubDetail* "
        "udi:Reference* unitPrice:Money"
    ),
    "ClaimItemDetailSubDetail": (
        "category:CodeableConcept extension:Extension* factor:decimal id:string modifier:CodeableConcept* "
        "modifierExtension:Extension* net:Money productOrService:CodeableConcept programCode:CodeableConcept* "
        "quantity:Quantity revenue:CodeableConcept sequence:positiveInt udi:Reference* unitPrice:Money"
    ),
    "ClaimPayee": "extension:Extension* id:string modifierExtension:Extension* party:Reference type:CodeableConcept",
    "ClaimProcedure": (
        "date:dateTime extension:Extension* id:string modifierExtension:Extension* "
        "procedureCodeableConcept:CodeableConcept procedureReference:Reference sequence:positiveInt "
        "type:CodeableConcept* udi:Reference*"
    ),
    "ClaimRelated": (
        "claim:Reference extension:Extension* id:string modifierExtension:Extension* reference:Identifier "
        "relationship:CodeableConcept"
    ),
    "ClaimResponse": (
        "addItem:ClaimResponseAddItem* adjudication:ClaimResponseItemAdjudication* communicationRequest:Reference* "
        "contained:Resource* created:dateTime disposition:string error:ClaimResponseError* extension:Extension* "
        "form:Attachment formCode:CodeableConcept fundsReserve:CodeableConcept id:id identifier:Identifier* "
        "implicitRules:uri insurance:ClaimResponseInsurance* insurer:Reference item:ClaimResponseItem* "
        "language:code meta:Meta modifierExtension:Extension* outcome:code patient:Reference "
        "payeeType:CodeableConcept payment:ClaimResponsePayment preAuthPeriod:Period preAuthRef:string "
        "processNote:ClaimResponseProcessNote* request:Reference requestor:Reference status:code "
        "subType:CodeableConcept text:Narrative total:ClaimResponseTotal* type:CodeableConcept use:code"
    ),
    "ClaimResponseAddItem": (
        "adjudication:ClaimResponseItemAdjudication* bodySite:CodeableConcept detail:ClaimResponseAddItemDetail* "
        "detailSequence:positiveInt* extension:Extension* factor:decimal id:string itemSequence:positiveInt* "
        "locationAddress:Address locationCodeableConcept:CodeableConcept locationReference:Reference "
        "modifier:CodeableConcept* modifierExtension:Extension* net:Money noteNumber:positiveInt* "
        "productOrService:CodeableConcept programCode:CodeableConcept* provider:Reference* quantity:Quantity "
        "servicedDate:date servicedPeriod:Period subSite:CodeableConcept* subdetailSequence:positiveInt* "
        "unitPrice:Money"
    ),
    "ClaimResponseAddItemDetail": (
        "adjudication:ClaimResponseItemAdjudication* extension:Extension* factor:decimal id:string "
        "modifier:CodeableConcept* modifierExtension:Extension* net:Money noteNumber:positiveInt* "
        "productOrService:CodeableConcept quantity:Quantity subDetail:ClaimResponseAddItemDetailSubDetail* "
        "unitPrice:Money"
    ),
    "ClaimResponseAddItemDetailSubDetail": (
        "adjudication:ClaimResponseItemAdjudication* extension:Extension* factor:decimal id:string "
        "modifier:CodeableConcept* modifierExtension:Extension* net:Money noteNumber:positiveInt* "
        "productOrService:CodeableConcept quantity:Quantity unitPrice:Money"
    ),
    "ClaimResponseError": (
        "code:CodeableConcept detailSequence:positiveInt extension:Extension* id:string itemSequence:positiveInt "
        "modifierExtension:Extension* subDetailSequence:positiveInt"
    ),
    "ClaimResponseInsurance": (
        "businessArrangement:string claimResponse:Reference coverage:Reference extension:Extension* focal:boolean "
        "id:string modifierExtension:Extension* sequence:positiveInt"
    ),
    "ClaimResponseItem": (
        "adjudication:ClaimResponseItemAdjudication* detail:ClaimResponseItemDetail* extension:Extension* "
        "id:string itemSequence:positiveInt modifierExtension:Extension* noteNumber:positiveInt*"
    ),
    "ClaimResponseItemAdjudication": (
        "amount:Money category:CodeableConcept extension:Extension* id:string modifierExtension:Extension* "
        "reason:CodeableConcept value:decimal"
    ),
    "ClaimResponseItemDetail": (
        "adjudication:ClaimResponseItemAdjudication* detailSequence:positiveInt extension:Extension* id:string "
        "modifierExtension:Extension* noteNumber:positiveInt* subDetail:ClaimResponseItemDetailSubDetail*"
    ),
    "ClaimResponseItemDetailSubDetail": (
        "adjudication:ClaimResponseItemAdjudication* extension:Extension* id:string modifierExtension:Extension* "
        "noteNumber:positiveInt* subDetailSequence:positiveInt"
    ),
    "ClaimResponsePayment": (
        "adjustment:Money adjustmentReason:CodeableConcept amount:Money date:date extension:Extension* id:string "
        "identifier:Identifier modifierExtension:Extension* type:CodeableConcept"
    ),
    "ClaimResponseProcessNote": (
        "extension:Extension* id:string language:CodeableConcept modifierExtension:Extension* number:positiveInt "
        "text:string type:code"
    ),
    "ClaimResponseTotal": (
        "amount:Money category:CodeableConcept extension:Extension* id:string modifierExtension:Extension*"
    ),
    "ClaimSupportingInfo": (
        "category:CodeableConcept code:CodeableConcept extension:Extension* id:string modifierExtension:Extension* "
        "reason:CodeableConcept sequence:positiveInt timingDate:date timingPeriod:Period "
        "valueAttachment:Attachment valueBoolean:boolean valueQuantity:Quantity valueReference:Reference "
        "valueString:string"
    ),
    "CoverageEligibilityRequest": (
        "contained:Resource* created:dateTime enterer:Reference extension:Extension* facility:Reference id:id "
        "identifier:Identifier* implicitRules:uri insurance:CoverageEligibilityRequestInsurance* insurer:Reference "
        "item:CoverageEligibilityRequestItem* language:code meta:Meta modifierExtension:Extension* "
        "patient:Reference priority:CodeableConcept provider:Reference purpose:code* servicedDate:date "
        "servicedPeriod:Period status:code supportingInfo:CoverageEligibilityRequestSupportingInfo* text:Narrative"
    ),
    "CoverageEligibilityRequestInsurance": (
        "businessArrangement:string coverage:Reference extension:Extension* focal:boolean id:string "
        "modifierExtension:Extension*"
    ),
    "CoverageEligibilityRequestItem": (
        "category:CodeableConcept detail:Reference* diagnosis:CoverageEligibilityRequestItemDiagnosis* "
        "extension:Extension* facility:Reference id:string modifier:CodeableConcept* modifierExtension:Extension* "
        "productOrService:CodeableConcept provider:Reference quantity:Quantity supportingInfoSequence:positiveInt* "
        "unitPrice:Money"
    ),
    "CoverageEligibilityRequestItemDiagnosis": (
        "diagnosisCodeableConcept:CodeableConcept diagnosisReference:Reference extension:Extension* id:string "
        "modifierExtension:Extension*"
    ),
    "CoverageEligibilityRequestSupportingInfo": (
        "appliesToAll:boolean extension:Extension* id:string information:Reference modifierExtension:Extension* "
        "sequence:positiveInt"
    ),
    "CoverageEligibilityResponse": (
        "contained:Resource* created:dateTime disposition:string error:CoverageEligibilityResponseError* "
        "extension:Extension* form:CodeableConcept id:id identifier:Identifier* implicitRules:uri "
        "insurance:CoverageEligibilityResponseInsurance* insurer:Reference language:code meta:Meta "
        "modifierExtension:Extension* outcome:code patient:Reference preAuthRef:string purpose:code* "
        "request:Reference requestor:Reference servicedDate:date servicedPeriod:Period status:code text:Narrative"
    ),
    "CoverageEligibilityResponseError": "code:CodeableConcept extension:Extension* id:string modifierExtension:Extension*",
    "CoverageEligibilityResponseInsurance": (
        "benefitPeriod:Period coverage:Reference extension:Extension* id:string inforce:boolean "
        "item:CoverageEligibilityResponseInsuranceItem* modifierExtension:Extension*"
    ),
    "CoverageEligibilityResponseInsuranceItem": (
        "authorizationRequired:boolean authorizationSupporting:CodeableConcept* authorizationUrl:uri "
        "benefit:CoverageEligibilityResponseInsuranceItemBenefit* category:CodeableConcept description:string "
        "excluded:boolean extension:Extension* id:string modifier:CodeableConcept* modifierExtension:Extension* "
        "name:string network:CodeableConcept productOrService:CodeableConcept provider:Reference "
        "term:CodeableConcept unit:CodeableConcept"
    ),
    "CoverageEligibilityResponseInsuranceItemBenefit": (
        "allowedMoney:Money allowedString:string allowedUnsignedInt:unsignedInt extension:Extension* id:string "
        "modifierExtension:Extension* type:CodeableConcept usedMoney:Money usedString:string "
        "usedUnsignedInt:unsignedInt"
    ),
    "Element": "extension:Extension* id:string",
}
