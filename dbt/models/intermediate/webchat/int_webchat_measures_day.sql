{{ config(
    materialized='incremental',
    incremental_strategy='append',
    indexes=[{'columns': ['day_start', 'line_of_business'], 'unique': true}],
    pre_hook="{{ replace_changed('day_start', \"(select channel, period_start as day_start from \" ~ ref('int_volume_periods_changed') ~ \" where channel = 'webchat' and grain = 'day') as days\") }}",
) }}

{{ components_by_day('webchat', ref('int_webchat_measures_15min')) }}
