{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business', 'channel', 'language', 'is_in_opening_hours'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(ref('int_contact_periods_changed')) }}",
) }}

with periods as (

    select * from {{ ref('int_contact_periods_changed') }}

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
        days.language,
        days.is_in_opening_hours,
        sum(days.contacts)::bigint as contacts,
        sum(days.inbound_contacts)::bigint as inbound_contacts,
        sum(days.answered)::bigint as answered,
        sum(days.complaints)::bigint as complaints
    from periods
    inner join {{ ref('int_contact_counts_day') }} as days
        on
            periods.period_date <= days.received_date
            and periods.next_period_date > days.received_date
    group by
        {{ with_totals_of_lines_and_channels('days', [
            'periods.grain', 'periods.period_start', 'periods.period_date', 'days.language', 'days.is_in_opening_hours',
        ]) | indent(8) }}

),

final as (

    select
        counted.*,
        build.build_id as _build_id
    from counted
    cross join build

)

select * from final
