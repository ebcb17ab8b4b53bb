-- One row per appliance, destination and tier: how many restore points exist, from when to when, and how big they are.
select
  appliances.name as appliance,
  restore_points.backup_destination as kept_in,
  restore_points.access_tier as tier,
  count(*) as restore_points,
  cast(sum(restore_points.backup_size_bytes) as bigint) as bytes,
  min(restore_points.point_in_time) as oldest,
  max(restore_points.point_in_time) as newest
from restore_points
inner join appliances on restore_points.appliance_id = appliances.appliance_id
where restore_points.deleted_at is null
group by appliances.name, restore_points.backup_destination, restore_points.access_tier
order by appliances.name, restore_points.backup_destination, restore_points.access_tier
