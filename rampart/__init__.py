"""Rampart: text-threat detection, from raw mail to an explained verdict."""

__version__ = "0.1.0"
