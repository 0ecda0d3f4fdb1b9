-- Every application in progress lies in exactly one band of age, and in one band of time in its stage.
select
    extract_position,
    stage,
    service,
    channel,
    region,
    applications
from {{ ref('wip_snapshot') }}
where
    {{ written_by_this_build() }}
    and (
        applications <> age_0_to_7_days + age_7_to_14_days + age_14_to_21_days + age_21_to_42_days + age_42_to_70_days + age_from_70_days
        or applications
        <> stage_age_0_to_7_days
        + stage_age_7_to_14_days
        + stage_age_14_to_21_days
        + stage_age_21_to_42_days
        + stage_age_42_to_70_days
        + stage_age_from_70_days
    )
