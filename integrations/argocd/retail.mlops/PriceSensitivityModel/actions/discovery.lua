local status = obj.status or {}
local is_pinned = obj.spec.version ~= nil and obj.spec.version.pin ~= nil
local is_rejected = false
for _, entry in ipairs(status.rejected or {}) do
  is_rejected = is_rejected or (status.desired ~= nil and entry.version == status.desired.version)
end
return {
  ["look-now"] = {},
  ["rollback"] = { ["disabled"] = is_pinned or status.current == nil },
  ["retry"] = { ["disabled"] = not is_rejected },
}
