-- One row per appliance, workload and cause: how many restore points went, how well that is known, and when the last one did.
select
  appliances.name as appliance,
  restore_points.workload,
  deletions.cause,
  deletions.match_kind as known_by,
  count(*) as restore_points,
  max(deletions.last_confirmed_at) as last_one_after,
  max(deletions.observed_gone_at) as and_before
from deletions
inner join restore_points
  on
    deletions.appliance_id = restore_points.appliance_id
    and deletions.restore_point_id = restore_points.restore_point_id
inner join appliances on deletions.appliance_id = appliances.appliance_id
group by appliances.name, restore_points.workload, deletions.cause, deletions.match_kind
order by appliances.name, restore_points.workload, deletions.cause, deletions.match_kind
