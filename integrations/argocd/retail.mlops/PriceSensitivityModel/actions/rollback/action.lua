local os = require("os")
local current = (obj.status or {}).current
if current == nil then
  error("nothing is served yet, so there is nothing to go back from", 0)
end
if obj.spec.version ~= nil and obj.spec.version.pin ~= nil then
  error("spec.version.pin holds version " .. tostring(obj.spec.version.pin) .. "; change it in Git", 0)
end
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["retail.mlops/rollback"] = tostring(current.version) .. "@" .. os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
