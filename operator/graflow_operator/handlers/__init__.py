"""Kopf: the only modules that import it. They translate and delegate; nothing is decided here."""
