"""Partners that speak the real protocols and misbehave on request: for the demo, for tests, for analysts.

`ehr` sends, `downstream` (HL7 v2), `fhir_server` and `erp` receive; `faults` scripts what goes wrong and `sink`
records what arrived. All on loopback, all reproducible from a seed.
"""
