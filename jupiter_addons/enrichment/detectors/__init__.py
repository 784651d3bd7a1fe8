"""What a text contains that a policy may care about: personal data, injections, sensitive matter, mood.

A detector is a module and a row of `registry.DETECTORS`.  It is handed a text that `normal.normalise` has read once for all
of them, and returns spans: kind, place in the text *as it was sent*, and a score.  It knows no policy, no role and no call;
`enrichment.findings` has those.  Two rules hold throughout:

* Candidates come from RE2, which is linear in the text whatever is in it; what makes a candidate a finding (checksums,
  ranges, neighbours) is plain code behind it.
* A scan that could not be completed is an exception, never an empty result.
"""
