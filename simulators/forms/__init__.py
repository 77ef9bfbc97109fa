"""Referral forms as they come by fax: drawn, spoilt as a fax spoils them, with the truth beside them.

Everything follows from a seed: people, forms, handwriting, stamps, skew, noise. All people are invented; telephone
numbers are of the range that is kept for fiction (555-01xx), NPIs have a right check digit and no owner.

``python -m simulators.forms --out DIR --seed 1 --count 20 --quality standard`` writes TIFF (Group 4), PDF or PNG files
and one ``.json`` each with what they say and where.
"""
