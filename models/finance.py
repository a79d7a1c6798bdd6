"""Tables of the Postgres schema `finance`."""
