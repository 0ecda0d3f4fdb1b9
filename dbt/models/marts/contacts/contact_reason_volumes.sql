{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business', 'channel', 'reason_code', 'is_in_opening_hours'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(ref('int_contact_periods_changed')) }}",
) }}

with periods as (

    select * from {{ ref('int_contact_periods_changed') }}
    where is_in_spine

),

completeness as (

    {{ completeness_of_channels() | indent(4) }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

counted as (

    select
        periods.grain,
        periods.period_start,
        periods.period_date,
        coalesce(days.line_of_business, 'ALL') as line_of_business,
        coalesce(days.channel, 'all') as channel,
        days.reason_code,
        days.is_in_opening_hours,
        bool_and(days.is_agreed) as is_agreed,
        sum(days.contacts_primary)::bigint as contacts_primary,
        sum(days.contacts_any)::bigint as contacts_any
    from periods
    inner join {{ ref('int_contact_reasons_day') }} as days
        on
            periods.channel = days.channel
            and periods.period_date <= days.received_date
            and periods.next_period_date > days.received_date
    group by
        {{ with_totals_of_lines_and_channels('days', [
            'periods.grain', 'periods.period_start', 'periods.period_date', 'days.reason_code', 'days.is_in_opening_hours',
        ]) | indent(8) }}

),

final as (

    select
        counted.*,
        completeness.is_complete,
        build.build_id as _build_id
    from counted
    cross join build
    inner join completeness
        on
            counted.grain = completeness.grain
            and counted.period_start = completeness.period_start
            and counted.channel = completeness.channel

)

select * from final
