"""One file for each isolated package: `estimate`, run by the interpreter of its environment.

    estimate(parts, request) → {"value": nats, "standard_error": nats or None, "version": of the package}

or, in place of the value, "cannot_say": the reason, or "representations": of the test rows' blocks, two lists of rows.

parts: split → (a, b), each (n, d) float64. request: "seed", and "settings" of the estimator.
"""
