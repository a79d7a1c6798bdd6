"""What the command line says when it cannot do what it was asked."""


class Refused(Exception):
    """One clear sentence for the person at the terminal; the command exits with 1."""
