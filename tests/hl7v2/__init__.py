"""HL7 v2: codec, structure, MLLP."""
