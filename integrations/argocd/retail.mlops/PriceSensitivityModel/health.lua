-- Degraded is for what Git asks and cannot be had, or for pods that do not answer. What the model registry does to a
-- model that answers is told in the message and by alerts: it must not hold up the sync waves of an innocent Git.
local function answer(status, message)
  return { status = status, message = message }
end
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return answer("Progressing", "the operator has not looked at this generation yet")
end
local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
local function is(kind, wanted)
  return found[kind] ~= nil and found[kind].status == wanted
end
local function because(kind, reasons)
  return found[kind] ~= nil and reasons[found[kind].reason] == true
end
local of_the_registry = {
  ApprovalRevoked = true,
  NoApprovedVersion = true,
  NoRollbackTarget = true,
  RollbackLimitExceeded = true,
  RollbackNotAutomatic = true,
}
local on_its_way = { Verifying = true, Progressing = true, RollingBack = true }
local answers = is("Ready", "True")
local is_pinned = obj.spec.version ~= nil and obj.spec.version.pin ~= nil

if is("Stalled", "True") and not (answers and because("Stalled", of_the_registry)) then
  return answer("Degraded", found.Stalled.message)
end
if obj.spec.suspend then
  return answer("Suspended", status.message)
end
if is("Reconciling", "True") and because("Reconciling", on_its_way) then
  return answer("Progressing", found.Reconciling.message)
end
-- what waits for something outside, or was rejected
if is_pinned and is("Reconciling", "True") then
  return answer("Degraded", found.Reconciling.message)
end
if is_pinned and is("UpToDate", "False") and because("UpToDate", { Rejected = true }) then
  return answer("Degraded", found.UpToDate.message)
end
if answers then
  return answer("Healthy", status.message)
end
if is("Reconciling", "True") then
  return answer("Progressing", found.Reconciling.message)
end
if because("VersionResolved", { RegistryUnavailable = true, RegistryThrottled = true }) then
  return answer("Progressing", found.VersionResolved.message)
end
return answer("Degraded", found.Ready ~= nil and found.Ready.message or status.message)
