"""The resources of `graflow.dev/v1alpha1`: models, CRDs, and the way from and to the machine."""
