-- One row per resource: its newest restore point that still exists. API v1 to v3 name no machine: one row for all of theirs.
with ranked as (
  select
    appliance_id,
    workload,
    coalesce(resource_name, '(not named by this API version)') as resource,
    region_name,
    point_in_time,
    backup_destination,
    access_tier,
    row_number() over (
      partition by appliance_id, workload, resource_id
      order by point_in_time desc, restore_point_id
    ) as newest_first
  from restore_points
  where deleted_at is null
)
select
  appliances.name as appliance,
  ranked.workload,
  ranked.resource,
  ranked.region_name as region,
  ranked.point_in_time,
  ranked.backup_destination as kept_in,
  ranked.access_tier as tier
from ranked
inner join appliances on ranked.appliance_id = appliances.appliance_id
where ranked.newest_first = 1
order by appliances.name, ranked.workload, ranked.resource
