"""Starts the platform's processes in order and keeps them alive."""
