"""A check for Schemathesis, which loads it by the name in SCHEMATHESIS_HOOKS."""

import re

import schemathesis

# The few server errors that Ollama has for what clients do wrong.
DUE = [
    r'option \\?"\w+\\?" must be of (type|an array)',
    r"invalid format: .*; expected ",
    r"template: ",
    r"(pull|push) model manifest: ",
    r"insecure protocol http",
]


@schemathesis.check
def no_server_error_but_those_due(ctx, response, case):
    """Anything may be refused, but a server error is one of those that clients expect."""
    text = response.content.decode(errors="replace")
    if response.status_code >= 500 and not any(re.search(due, text) for due in DUE):
        raise AssertionError(f"{response.status_code}: {text[:500]}")
