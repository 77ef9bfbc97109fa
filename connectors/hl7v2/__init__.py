"""HL7 version 2: the ER7 codec, its structures and dictionary, MLLP in and out."""
