"""Tables of the Postgres schema `education`."""
