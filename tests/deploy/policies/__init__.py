"""What a review of manifests refuses, one pure function each: documents in, findings out.

A finding names the document and what is wrong with it, for a person.
"""
