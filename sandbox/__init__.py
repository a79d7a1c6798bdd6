"""The outside world on localhost: payment gateway, broker, KYC, screening, tax and outbox in one process.

Official client libraries talk to it unchanged. It imports nothing from the platform.
"""
