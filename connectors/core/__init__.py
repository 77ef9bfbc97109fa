"""CAQH CORE connectivity: X12 to payers and back in the CORE envelope (rules vC2.2.0 and vC4.0.0)."""
