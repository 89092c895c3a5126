"""The node level: a real kubelet with containers in its own mount, process and network namespaces (Linux, root).

`up` starts it, `namespace` prepares the namespaces as their process 1, `configs` and `processes` declare what runs,
`enter` reaches inside, `cleanup` removes what outlives the namespaces.
"""
