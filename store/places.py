"""Where a row stands in a list by date: what a cursor holds."""


def place(moment: str, key: str) -> str:
    """SQL of a text that sorts as (`moment`, `key`) do; both are names of columns."""
    return f"""to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '/' || {key}"""
