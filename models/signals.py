"""Tables of the Postgres schema `signals`."""
