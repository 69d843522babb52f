"""The operator of Graflow for Kubernetes: drives the machine with pods."""
