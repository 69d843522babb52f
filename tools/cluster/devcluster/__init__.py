"""A real Kubernetes on one machine, from nothing but Go modules and Debian packages."""
