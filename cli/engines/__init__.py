"""The three embedded engines as supervised programs."""
