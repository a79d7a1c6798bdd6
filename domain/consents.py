"""The documents that people consent to, and their versions."""

CURRENT = "current"
"""Stands for a document's latest version in a request; the version itself is what is recorded."""

VERSIONS: dict[str, tuple[str, ...]] = {
    "mitc": ("2025-06",),
}
"""Document -> its versions, newest first. ``mitc``: most important terms and conditions, SEBI's circular for
research analysts of January 2025, in force since 30 June 2025."""

RESEARCH_DOCUMENT = "mitc"
FIRST = "2025-01"


def version_of(purpose: str, document: str, version: str) -> str | None:
    """The version to record; None where it is not a document of the purpose or has no such version.

    Research services have one document; the notices of the other purposes are named by who shows them.
    """
    if (purpose == "research_services") != (document == RESEARCH_DOCUMENT):
        return None
    versions = VERSIONS.get(document)
    if version == CURRENT:
        return versions[0] if versions else FIRST
    return version if versions is None or version in versions else None
