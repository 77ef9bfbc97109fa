"""HTTP edges: a sender for JSON, XML and HL7 bodies, and an authenticated receiver."""
