"""FHIR R4 edge: a REST client that delivers resources and transactions."""
