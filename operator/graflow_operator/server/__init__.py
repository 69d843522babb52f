"""What the operator serves over HTTP: runners, users, the API server, probes."""
