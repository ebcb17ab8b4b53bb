-- One row per appliance, kind of change and destination: what the newest finished run found different from the one before.
with newest_run as (
  select
    appliance_id,
    max(run_number) as run_number
  from sync_runs
  where status in ('succeeded', 'partial')
  group by appliance_id
)
select
  appliances.name as appliance,
  restore_point_versions.change,
  restore_point_versions.backup_destination as kept_in,
  count(*) as restore_points,
  cast(sum(restore_point_versions.backup_size_bytes) as bigint) as bytes,
  min(restore_point_versions.valid_from) as observed_at
from newest_run
inner join restore_point_versions
  on
    newest_run.appliance_id = restore_point_versions.appliance_id
    and newest_run.run_number = restore_point_versions.run_number
inner join appliances on newest_run.appliance_id = appliances.appliance_id
group by appliances.name, restore_point_versions.change, restore_point_versions.backup_destination
order by appliances.name, restore_point_versions.change, restore_point_versions.backup_destination
