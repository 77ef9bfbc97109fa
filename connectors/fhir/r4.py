"""Elements of the R4 resources and data types that mappings use: name, type, and ``*`` where it repeats.

A dictionary for checking paths and choosing codecs (http://hl7.org/fhir/R4); ``tests/mapper/test_fhir_tables.py``
holds it against the models of ``fhir.resources``. Backbone elements are named as there
(``AppointmentParticipant``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.fhir import r4_payers

_TYPES: Final[dict[str, str]] = {
    "Address": (
        "city:string country:string district:string extension:Extension* id:string line:string* "
        "period:Period postalCode:string state:string text:string type:code use:code"
    ),
    "Annotation": (
        "authorReference:Reference authorString:string extension:Extension* id:string text:markdown "
        "time:dateTime"
    ),
    "Appointment": (
        "appointmentType:CodeableConcept basedOn:Reference* cancelationReason:CodeableConcept "
        "comment:string contained:Resource* created:dateTime description:string end:instant "
        "extension:Extension* id:id identifier:Identifier* implicitRules:uri language:code meta:Meta "
        "minutesDuration:positiveInt modifierExtension:Extension* participant:AppointmentParticipant* "
        "patientInstruction:string priority:unsignedInt reasonCode:CodeableConcept* "
        "reasonReference:Reference* requestedPeriod:Period* serviceCategory:CodeableConcept* "
        "serviceType:CodeableConcept* slot:Reference* specialty:CodeableConcept* start:instant "
        "status:code supportingInformation:Reference* text:Narrative"
    ),
    "AppointmentParticipant": (
        "actor:Reference extension:Extension* id:string modifierExtension:Extension* period:Period "
        "required:code status:code type:CodeableConcept*"
    ),
    "AppointmentResponse": (
        "actor:Reference appointment:Reference comment:string contained:Resource* end:instant "
        "extension:Extension* id:id identifier:Identifier* implicitRules:uri language:code meta:Meta "
        "modifierExtension:Extension* participantStatus:code participantType:CodeableConcept* "
        "start:instant text:Narrative"
    ),
    "Attachment": (
        "contentType:code creation:dateTime data:base64Binary extension:Extension* hash:base64Binary "
        "id:string language:code size:unsignedInt title:string url:url"
    ),
    "Bundle": (
        "entry:BundleEntry* id:id identifier:Identifier implicitRules:uri language:code "
        "link:BundleLink* meta:Meta signature:Signature timestamp:instant total:unsignedInt type:code"
    ),
    "BundleEntry": (
        "extension:Extension* fullUrl:uri id:string link:BundleLink* modifierExtension:Extension* "
        "request:BundleEntryRequest resource:Resource response:BundleEntryResponse "
        "search:BundleEntrySearch"
    ),
    "BundleEntryRequest": (
        "extension:Extension* id:string ifMatch:string ifModifiedSince:instant ifNoneExist:string "
        "ifNoneMatch:string method:code modifierExtension:Extension* url:uri"
    ),
    "BundleEntryResponse": (
        "etag:string extension:Extension* id:string lastModified:instant location:uri "
        "modifierExtension:Extension* outcome:Resource status:string"
    ),
    "BundleEntrySearch": "extension:Extension* id:string mode:code modifierExtension:Extension* score:decimal",
    "BundleLink": "extension:Extension* id:string modifierExtension:Extension* relation:string url:uri",
    "CodeableConcept": "coding:Coding* extension:Extension* id:string text:string",
    "Coding": (
        "code:code display:string extension:Extension* id:string system:uri userSelected:boolean "
        "version:string"
    ),
    "ContactPoint": (
        "extension:Extension* id:string period:Period rank:positiveInt system:code use:code "
        "value:string"
    ),
    "Coverage": (
        "beneficiary:Reference class:CoverageClass* contained:Resource* contract:Reference* "
        "costToBeneficiary:CoverageCostToBeneficiary* dependent:string extension:Extension* id:id "
        "identifier:Identifier* implicitRules:uri language:code meta:Meta modifierExtension:Extension* "
        "network:string order:positiveInt payor:Reference* period:Period policyHolder:Reference "
        "relationship:CodeableConcept status:code subrogation:boolean subscriber:Reference "
        "subscriberId:string text:Narrative type:CodeableConcept"
    ),
    "CoverageClass": (
        "extension:Extension* id:string modifierExtension:Extension* name:string type:CodeableConcept "
        "value:string"
    ),
    "CoverageCostToBeneficiary": (
        "exception:CoverageCostToBeneficiaryException* extension:Extension* id:string "
        "modifierExtension:Extension* type:CodeableConcept valueMoney:Money valueQuantity:Quantity"
    ),
    "CoverageCostToBeneficiaryException": (
        "extension:Extension* id:string modifierExtension:Extension* period:Period type:CodeableConcept"
    ),
    "DocumentReference": (
        "authenticator:Reference author:Reference* category:CodeableConcept* contained:Resource* "
        "content:DocumentReferenceContent* context:DocumentReferenceContext custodian:Reference "
        "date:instant description:string docStatus:code extension:Extension* id:id identifier:Identifier* "
        "implicitRules:uri language:code masterIdentifier:Identifier meta:Meta "
        "modifierExtension:Extension* relatesTo:DocumentReferenceRelatesTo* "
        "securityLabel:CodeableConcept* status:code subject:Reference text:Narrative type:CodeableConcept"
    ),
    "DocumentReferenceContent": (
        "attachment:Attachment extension:Extension* format:Coding id:string modifierExtension:Extension*"
    ),
    "DocumentReferenceContext": (
        "encounter:Reference* event:CodeableConcept* extension:Extension* facilityType:CodeableConcept "
        "id:string modifierExtension:Extension* period:Period practiceSetting:CodeableConcept "
        "related:Reference* sourcePatientInfo:Reference"
    ),
    "DocumentReferenceRelatesTo": "code:code extension:Extension* id:string modifierExtension:Extension* target:Reference",
    "Duration": (
        "code:code comparator:code extension:Extension* id:string system:uri unit:string "
        "value:decimal"
    ),
    "Encounter": (
        "account:Reference* appointment:Reference* basedOn:Reference* class:Coding "
        "classHistory:EncounterClassHistory* contained:Resource* diagnosis:EncounterDiagnosis* "
        "episodeOfCare:Reference* extension:Extension* hospitalization:EncounterHospitalization id:id "
        "identifier:Identifier* implicitRules:uri language:code length:Duration "
        "location:EncounterLocation* meta:Meta modifierExtension:Extension* partOf:Reference "
        "participant:EncounterParticipant* period:Period priority:CodeableConcept "
        "reasonCode:CodeableConcept* reasonReference:Reference* serviceProvider:Reference "
        "serviceType:CodeableConcept status:code statusHistory:EncounterStatusHistory* "
        "subject:Reference text:Narrative type:CodeableConcept*"
    ),
    "EncounterClassHistory": "class:Coding extension:Extension* id:string modifierExtension:Extension* period:Period",
    "EncounterDiagnosis": (
        "condition:Reference extension:Extension* id:string modifierExtension:Extension* "
        "rank:positiveInt use:CodeableConcept"
    ),
    "EncounterHospitalization": (
        "admitSource:CodeableConcept destination:Reference dietPreference:CodeableConcept* "
        "dischargeDisposition:CodeableConcept extension:Extension* id:string "
        "modifierExtension:Extension* origin:Reference preAdmissionIdentifier:Identifier "
        "reAdmission:CodeableConcept specialArrangement:CodeableConcept* "
        "specialCourtesy:CodeableConcept*"
    ),
    "EncounterLocation": (
        "extension:Extension* id:string location:Reference modifierExtension:Extension* period:Period "
        "physicalType:CodeableConcept status:code"
    ),
    "EncounterParticipant": (
        "extension:Extension* id:string individual:Reference modifierExtension:Extension* "
        "period:Period type:CodeableConcept*"
    ),
    "EncounterStatusHistory": "extension:Extension* id:string modifierExtension:Extension* period:Period status:code",
    "Extension": (
        "extension:Extension* id:string url:uri valueAddress:Address valueAnnotation:Annotation "
        "valueBoolean:boolean valueCode:code valueCodeableConcept:CodeableConcept valueCoding:Coding "
        "valueContactPoint:ContactPoint valueDate:date valueDateTime:dateTime valueDecimal:decimal "
        "valueDuration:Duration valueHumanName:HumanName valueIdentifier:Identifier "
        "valueInstant:instant valueInteger:integer valueMoney:Money valuePeriod:Period valuePositiveInt:positiveInt "
        "valueQuantity:Quantity valueReference:Reference valueString:string valueTime:time "
        "valueUnsignedInt:unsignedInt valueUri:uri valueUrl:url"
    ),
    "HealthcareService": (
        "active:boolean appointmentRequired:boolean availabilityExceptions:string "
        "availableTime:HealthcareServiceAvailableTime* category:CodeableConcept* "
        "characteristic:CodeableConcept* comment:string communication:CodeableConcept* "
        "contained:Resource* coverageArea:Reference* eligibility:HealthcareServiceEligibility* "
        "endpoint:Reference* extension:Extension* extraDetails:markdown id:id identifier:Identifier* "
        "implicitRules:uri language:code location:Reference* meta:Meta modifierExtension:Extension* "
        "name:string notAvailable:HealthcareServiceNotAvailable* photo:Attachment "
        "program:CodeableConcept* providedBy:Reference referralMethod:CodeableConcept* "
        "serviceProvisionCode:CodeableConcept* specialty:CodeableConcept* telecom:ContactPoint* "
        "text:Narrative type:CodeableConcept*"
    ),
    "HealthcareServiceAvailableTime": (
        "allDay:boolean availableEndTime:time availableStartTime:time daysOfWeek:code* "
        "extension:Extension* id:string modifierExtension:Extension*"
    ),
    "HealthcareServiceEligibility": (
        "code:CodeableConcept comment:markdown extension:Extension* id:string "
        "modifierExtension:Extension*"
    ),
    "HealthcareServiceNotAvailable": "description:string during:Period extension:Extension* id:string modifierExtension:Extension*",
    "HumanName": (
        "extension:Extension* family:string given:string* id:string period:Period prefix:string* "
        "suffix:string* text:string use:code"
    ),
    "Identifier": (
        "assigner:Reference extension:Extension* id:string period:Period system:uri "
        "type:CodeableConcept use:code value:string"
    ),
    "Location": (
        "address:Address alias:string* availabilityExceptions:string contained:Resource* "
        "description:string endpoint:Reference* extension:Extension* "
        "hoursOfOperation:LocationHoursOfOperation* id:id identifier:Identifier* implicitRules:uri "
        "language:code managingOrganization:Reference meta:Meta mode:code "
        "modifierExtension:Extension* name:string operationalStatus:Coding partOf:Reference "
        "physicalType:CodeableConcept position:LocationPosition status:code telecom:ContactPoint* "
        "text:Narrative type:CodeableConcept*"
    ),
    "LocationHoursOfOperation": (
        "allDay:boolean closingTime:time daysOfWeek:code* extension:Extension* id:string "
        "modifierExtension:Extension* openingTime:time"
    ),
    "LocationPosition": (
        "altitude:decimal extension:Extension* id:string latitude:decimal longitude:decimal "
        "modifierExtension:Extension*"
    ),
    "Meta": (
        "extension:Extension* id:string lastUpdated:instant profile:canonical* security:Coding* "
        "source:uri tag:Coding* versionId:id"
    ),
    "Money": "currency:code extension:Extension* id:string value:decimal",
    "Narrative": "div:xhtml extension:Extension* id:string status:code",
    "Organization": (
        "active:boolean address:Address* alias:string* contact:OrganizationContact* "
        "contained:Resource* endpoint:Reference* extension:Extension* id:id identifier:Identifier* "
        "implicitRules:uri language:code meta:Meta modifierExtension:Extension* name:string "
        "partOf:Reference telecom:ContactPoint* text:Narrative type:CodeableConcept*"
    ),
    "OrganizationContact": (
        "address:Address extension:Extension* id:string modifierExtension:Extension* name:HumanName "
        "purpose:CodeableConcept telecom:ContactPoint*"
    ),
    "Patient": (
        "active:boolean address:Address* birthDate:date communication:PatientCommunication* "
        "contact:PatientContact* contained:Resource* deceasedBoolean:boolean "
        "deceasedDateTime:dateTime extension:Extension* gender:code generalPractitioner:Reference* "
        "id:id identifier:Identifier* implicitRules:uri language:code link:PatientLink* "
        "managingOrganization:Reference maritalStatus:CodeableConcept meta:Meta "
        "modifierExtension:Extension* multipleBirthBoolean:boolean multipleBirthInteger:integer "
        "name:HumanName* photo:Attachment* telecom:ContactPoint* text:Narrative"
    ),
    "PatientCommunication": (
        "extension:Extension* id:string language:CodeableConcept modifierExtension:Extension* "
        "preferred:boolean"
    ),
    "PatientContact": (
        "address:Address extension:Extension* gender:code id:string modifierExtension:Extension* "
        "name:HumanName organization:Reference period:Period relationship:CodeableConcept* "
        "telecom:ContactPoint*"
    ),
    "PatientLink": "extension:Extension* id:string modifierExtension:Extension* other:Reference type:code",
    "Period": "end:dateTime extension:Extension* id:string start:dateTime",
    "Practitioner": (
        "active:boolean address:Address* birthDate:date communication:CodeableConcept* "
        "contained:Resource* extension:Extension* gender:code id:id identifier:Identifier* "
        "implicitRules:uri language:code meta:Meta modifierExtension:Extension* name:HumanName* "
        "photo:Attachment* qualification:PractitionerQualification* telecom:ContactPoint* "
        "text:Narrative"
    ),
    "PractitionerQualification": (
        "code:CodeableConcept extension:Extension* id:string identifier:Identifier* issuer:Reference "
        "modifierExtension:Extension* period:Period"
    ),
    "PractitionerRole": (
        "active:boolean availabilityExceptions:string availableTime:PractitionerRoleAvailableTime* "
        "code:CodeableConcept* contained:Resource* endpoint:Reference* extension:Extension* "
        "healthcareService:Reference* id:id identifier:Identifier* implicitRules:uri language:code "
        "location:Reference* meta:Meta modifierExtension:Extension* "
        "notAvailable:PractitionerRoleNotAvailable* organization:Reference period:Period "
        "practitioner:Reference specialty:CodeableConcept* telecom:ContactPoint* text:Narrative"
    ),
    "PractitionerRoleAvailableTime": (
        "allDay:boolean availableEndTime:time availableStartTime:time daysOfWeek:code* "
        "extension:Extension* id:string modifierExtension:Extension*"
    ),
    "PractitionerRoleNotAvailable": "description:string during:Period extension:Extension* id:string modifierExtension:Extension*",
    "Quantity": (
        "code:code comparator:code extension:Extension* id:string system:uri unit:string "
        "value:decimal"
    ),
    "Range": "extension:Extension* high:Quantity id:string low:Quantity",
    "Ratio": "denominator:Quantity extension:Extension* id:string numerator:Quantity",
    "Reference": (
        "display:string extension:Extension* id:string identifier:Identifier reference:string "
        "type:uri"
    ),
    "Schedule": (
        "active:boolean actor:Reference* comment:string contained:Resource* extension:Extension* "
        "id:id identifier:Identifier* implicitRules:uri language:code meta:Meta "
        "modifierExtension:Extension* planningHorizon:Period serviceCategory:CodeableConcept* "
        "serviceType:CodeableConcept* specialty:CodeableConcept* text:Narrative"
    ),
    "ServiceRequest": (
        "asNeededBoolean:boolean asNeededCodeableConcept:CodeableConcept authoredOn:dateTime "
        "basedOn:Reference* bodySite:CodeableConcept* category:CodeableConcept* code:CodeableConcept "
        "contained:Resource* doNotPerform:boolean encounter:Reference extension:Extension* id:id "
        "identifier:Identifier* implicitRules:uri instantiatesCanonical:canonical* "
        "instantiatesUri:uri* insurance:Reference* intent:code language:code "
        "locationCode:CodeableConcept* locationReference:Reference* meta:Meta "
        "modifierExtension:Extension* note:Annotation* occurrenceDateTime:dateTime "
        "occurrencePeriod:Period occurrenceTiming:Timing orderDetail:CodeableConcept* "
        "patientInstruction:string performer:Reference* performerType:CodeableConcept priority:code "
        "quantityQuantity:Quantity quantityRange:Range quantityRatio:Ratio "
        "reasonCode:CodeableConcept* reasonReference:Reference* relevantHistory:Reference* "
        "replaces:Reference* requester:Reference requisition:Identifier specimen:Reference* "
        "status:code subject:Reference supportingInfo:Reference* text:Narrative"
    ),
    "Signature": (
        "data:base64Binary extension:Extension* id:string onBehalfOf:Reference sigFormat:code "
        "targetFormat:code type:Coding* when:instant who:Reference"
    ),
    "Slot": (
        "appointmentType:CodeableConcept comment:string contained:Resource* end:instant "
        "extension:Extension* id:id identifier:Identifier* implicitRules:uri language:code meta:Meta "
        "modifierExtension:Extension* overbooked:boolean schedule:Reference "
        "serviceCategory:CodeableConcept* serviceType:CodeableConcept* specialty:CodeableConcept* "
        "start:instant status:code text:Narrative"
    ),
    "Task": (
        "authoredOn:dateTime basedOn:Reference* businessStatus:CodeableConcept code:CodeableConcept "
        "contained:Resource* description:string encounter:Reference executionPeriod:Period "
        "extension:Extension* focus:Reference for:Reference groupIdentifier:Identifier id:id "
        "identifier:Identifier* implicitRules:uri input:TaskInput* instantiatesCanonical:canonical "
        "instantiatesUri:uri insurance:Reference* intent:code language:code lastModified:dateTime "
        "location:Reference meta:Meta modifierExtension:Extension* note:Annotation* output:TaskOutput* "
        "owner:Reference partOf:Reference* performerType:CodeableConcept* priority:code "
        "reasonCode:CodeableConcept reasonReference:Reference relevantHistory:Reference* "
        "requester:Reference restriction:TaskRestriction status:code statusReason:CodeableConcept "
        "text:Narrative"
    ),
    "TaskInput": (
        "extension:Extension* id:string modifierExtension:Extension* type:CodeableConcept "
        "valueAddress:Address valueAge:Age valueAnnotation:Annotation valueAttachment:Attachment "
        "valueBase64Binary:base64Binary valueBoolean:boolean valueCanonical:canonical valueCode:code "
        "valueCodeableConcept:CodeableConcept valueCoding:Coding valueContactDetail:ContactDetail "
        "valueContactPoint:ContactPoint valueContributor:Contributor valueCount:Count "
        "valueDataRequirement:DataRequirement valueDate:date valueDateTime:dateTime valueDecimal:decimal "
        "valueDistance:Distance valueDosage:Dosage valueDuration:Duration valueExpression:Expression "
        "valueHumanName:HumanName valueId:id valueIdentifier:Identifier valueInstant:instant "
        "valueInteger:integer valueMarkdown:markdown valueMeta:Meta valueMoney:Money valueOid:oid "
        "valueParameterDefinition:ParameterDefinition valuePeriod:Period valuePositiveInt:positiveInt "
        "valueQuantity:Quantity valueRange:Range valueRatio:Ratio valueReference:Reference "
        "valueRelatedArtifact:RelatedArtifact valueSampledData:SampledData valueSignature:Signature "
        "valueString:string valueTime:time valueTiming:Timing valueTriggerDefinition:TriggerDefinition "
        "valueUnsignedInt:unsignedInt valueUri:uri valueUrl:url valueUsageContext:UsageContext "
        "valueUuid:uuid"
    ),
    "TaskOutput": (
        "extension:Extension* id:string modifierExtension:Extension* type:CodeableConcept "
        "valueAddress:Address valueAge:Age valueAnnotation:Annotation valueAttachment:Attachment "
        "valueBase64Binary:base64Binary valueBoolean:boolean valueCanonical:canonical valueCode:code "
        "valueCodeableConcept:CodeableConcept valueCoding:Coding valueContactDetail:ContactDetail "
        "valueContactPoint:ContactPoint valueContributor:Contributor valueCount:Count "
        "valueDataRequirement:DataRequirement valueDate:date valueDateTime:dateTime valueDecimal:decimal "
        "valueDistance:Distance valueDosage:Dosage valueDuration:Duration valueExpression:Expression "
        "valueHumanName:HumanName valueId:id valueIdentifier:Identifier valueInstant:instant "
        "valueInteger:integer valueMarkdown:markdown valueMeta:Meta valueMoney:Money valueOid:oid "
        "valueParameterDefinition:ParameterDefinition valuePeriod:Period valuePositiveInt:positiveInt "
        "valueQuantity:Quantity valueRange:Range valueRatio:Ratio valueReference:Reference "
        "valueRelatedArtifact:RelatedArtifact valueSampledData:SampledData valueSignature:Signature "
        "valueString:string valueTime:time valueTiming:Timing valueTriggerDefinition:TriggerDefinition "
        "valueUnsignedInt:unsignedInt valueUri:uri valueUrl:url valueUsageContext:UsageContext "
        "valueUuid:uuid"
    ),
    "TaskRestriction": (
        "extension:Extension* id:string modifierExtension:Extension* period:Period recipient:Reference* "
        "repetitions:positiveInt"
    ),
    "Timing": (
        "code:CodeableConcept event:dateTime* extension:Extension* id:string "
        "modifierExtension:Extension* repeat:TimingRepeat"
    ),
    "TimingRepeat": (
        "boundsDuration:Duration boundsPeriod:Period boundsRange:Range count:positiveInt "
        "countMax:positiveInt dayOfWeek:code* duration:decimal durationMax:decimal durationUnit:code "
        "extension:Extension* frequency:positiveInt frequencyMax:positiveInt id:string "
        "offset:unsignedInt period:decimal periodMax:decimal periodUnit:code timeOfDay:time* "
        "when:code*"
    ),
}


def _elements(text: str) -> dict[str, str]:
    return dict(item.split(":") for item in text.split())


#: type → element → type, with ``*`` where it repeats
R4: Final[Mapping[str, Mapping[str, str]]] = {name: _elements(text) for name, text in {**_TYPES, **r4_payers.TYPES}.items()}
