"""Prompts by name, label and version: in YAML files, or in Langfuse. See `factory`."""
