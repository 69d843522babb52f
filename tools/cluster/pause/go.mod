module graflow.dev/cluster/pause

go 1.21
