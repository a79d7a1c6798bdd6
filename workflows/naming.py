"""The id of what a process makes by itself."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.contracts.identifiers import Prefix, derived, mint


def named(prefix: Prefix, *key: str) -> str:
    """By `key`, which names it once for all.

    A worker may die with a local step on record. The step is done again later; an id of the clock would be
    another one then: the process would speak of what is not on record. An id that goes out with a command of
    its own (a child, an activity on a queue) is in the history before anybody uses it, and needs no key.
    """
    if workflow.patched("named-by-key"):
        return derived(prefix, *key)
    return mint(prefix, workflow.uuid7())
