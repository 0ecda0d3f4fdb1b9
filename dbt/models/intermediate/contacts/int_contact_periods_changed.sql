{{ config(unlogged=true, indexes=[{'columns': ['channel', 'grain', 'period_start'], 'unique': true}]) }}
-- depends_on: {{ ref('fct_contacts') }}

{%- set channels = [
    ('voice', 'telephony_call'), ('webchat', 'webchat_session'), ('email', 'email_message'), ('text', 'text_message'),
    ('callback', 'callback_event'),
] %}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

moved as (

    select
        interval_start as begins,
        interval_start + interval '15 minutes' as ends
    from {{ ref('int_contact_intervals_changed') }}

    union all

    -- Time that has passed since the last build.
    select
        previous_as_of as begins,
        as_of as ends
    from build

),

{{ dense_days_changed(
    'contact_volumes', channels | map(attribute=1), '(select min(contacts.received_at) from ' ~ ref('fct_contacts') ~ ' as contacts)', 'moved'
) }},

channels as (

    {% for channel, interface in channels -%}
    select
        '{{ channel }}' as channel,
        '{{ interface }}' as interface
    {{ "union all" if not loop.last }}
    {% endfor %}

),

intervals as (

    select
        channels.channel,
        channels.interface,
        days.interval_start,
        days.spine_start
    from days
    cross join channels

),

{{ periods_holding('intervals') }}

select
    channel,
    grain,
    period_start,
    period_end,
    period_date,
    {{ local_date('period_end') }} as next_period_date,
    is_in_spine,
    is_complete
from final
where not is_within_day
