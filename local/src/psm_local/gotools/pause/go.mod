// The process that holds a pod's namespaces; the only Go code of this repository.
module psm-local/gotools/pause

go 1.26.0
