"""The workflow state machine: pure functions over frozen data, driven by every host alike."""
