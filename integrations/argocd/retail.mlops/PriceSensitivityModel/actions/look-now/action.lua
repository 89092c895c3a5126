local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["retail.mlops/requestedAt"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
