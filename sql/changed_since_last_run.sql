-- One row per appliance, kind of change and destination: what the newest finished run found different from the one before.
with newest_run as (
  select
    appliance_id,
    max(run_number) as run_number
  from sync_runs
  where status in ('succeeded', 'partial')
  group by appliance_id
),
found as (
  select
    restore_point_versions.appliance_id,
    restore_point_versions.change,
    restore_point_versions.backup_destination,
    restore_point_versions.backup_size_bytes,
    restore_point_versions.valid_from as observed_at
  from newest_run
  inner join restore_point_versions
    on
      newest_run.appliance_id = restore_point_versions.appliance_id
      and newest_run.run_number = restore_point_versions.run_number
),
found_gone as (
  select
    restore_point_versions.appliance_id,
    restore_point_versions.closed_by as change,
    restore_point_versions.backup_destination,
    restore_point_versions.backup_size_bytes,
    restore_point_versions.valid_to as observed_at
  from newest_run
  inner join restore_point_versions
    on
      newest_run.appliance_id = restore_point_versions.appliance_id
      and newest_run.run_number = restore_point_versions.closed_run
  where restore_point_versions.closed_by = 'deleted'
),
difference as (
  select * from found
  union all
  select * from found_gone
)
select
  appliances.name as appliance,
  difference.change,
  difference.backup_destination as kept_in,
  count(*) as restore_points,
  cast(sum(difference.backup_size_bytes) as bigint) as bytes,
  min(difference.observed_at) as observed_at
from difference
inner join appliances on difference.appliance_id = appliances.appliance_id
group by appliances.name, difference.change, difference.backup_destination
order by appliances.name, difference.change, difference.backup_destination
