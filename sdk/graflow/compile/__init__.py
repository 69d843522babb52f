"""From a program to what a cluster runs: its code as a bundle, its plan as a Workflow resource."""
