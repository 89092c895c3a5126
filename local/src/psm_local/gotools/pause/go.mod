// The process that holds a pod's namespaces.
module psm-local/gotools/pause

go 1.26.0
