"""Tables of the Postgres schema `trading`."""
