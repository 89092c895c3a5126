local status = obj.status or {}
local wanted = (status.desired or {}).version
for _, entry in ipairs(status.rejected or {}) do
  if entry.version == wanted then
    obj.metadata.annotations = obj.metadata.annotations or {}
    obj.metadata.annotations["retail.mlops/unreject"] = tostring(entry.version) .. "@" .. entry.at
    return obj
  end
end
error("the version that the policy picks is not rejected, so there is nothing to try again", 0)
