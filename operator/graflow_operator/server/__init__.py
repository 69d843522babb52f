"""What the operator serves over HTTP: runners, users, probes."""
