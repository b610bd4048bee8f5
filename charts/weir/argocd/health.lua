-- What Argo CD shows of a StreamJob. It has no rule of its own for this kind: put this one into its
-- ConfigMap argocd-cm under the key resource.customizations.health.weir.dev_StreamJob.
--
-- Stalled goes first: a refused spec is Degraded although what ran before goes on.
local function progressing(message)
  return { status = "Progressing", message = message }
end

if obj.metadata.deletionTimestamp ~= nil then
  return progressing("it is being deleted")
end
local status = obj.status
if status == nil or status.conditions == nil then
  return progressing("the operator has not looked at it yet")
end
if status.observedGeneration ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return progressing("the operator has not looked at the newest spec yet")
end

local is = {}
for _, condition in ipairs(status.conditions) do
  is[condition.type] = condition
end
local function holds(type)
  return is[type] ~= nil and is[type].status == "True"
end

if holds("Stalled") then
  return { status = "Degraded", message = is["Stalled"].message }
end
if holds("Reconciling") then
  return progressing(is["Reconciling"].message)
end
if status.state == "Suspended" or status.state == "Drained" then
  return { status = "Suspended", message = "it is " .. status.state .. ", as its spec asks" }
end
if holds("Ready") then
  return { status = "Healthy", message = is["Ready"].message }
end
if is["Ready"] == nil then
  return progressing("the operator has not said whether it is ready")
end
return progressing(is["Ready"].message)
