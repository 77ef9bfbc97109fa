"""Extraction templates: from the words of a page to the fields of the canonical model, with place and trust.

Pure, as all of `mapper`: a page document, a template and what is known of providers and payers in; events with
evidence and findings out.
"""
