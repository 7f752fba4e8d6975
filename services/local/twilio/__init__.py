"""A simulator of Twilio Lookup v2: a real HTTP server with faults on order and a ledger of calls.

Which answer, which fault and what it costs are pure (`numbers`, `packages`, `answers`, `faults`);
`server` and `control` speak HTTP; `ledger` is what tests and the demo reconcile against; `process`
runs the whole as a child.
"""
