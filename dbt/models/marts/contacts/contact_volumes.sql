{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business', 'channel', 'language', 'is_in_opening_hours'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(ref('int_contact_periods_changed')) }}",
    post_hook="{{ index_on('(period_start) where not is_complete') }}",
) }}

with periods as (

    select * from {{ ref('int_contact_periods_changed') }}
    where is_in_spine

),

completeness as (

    {{ completeness_of_channels() | indent(4) }}

),

lines as (

    select line_of_business from {{ ref('dim_line_of_business') }}

),

build as (

    select * from {{ ref('stg_ops__builds') }}

),

counted as (

    select
        periods.grain,
        periods.period_start,
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
            periods.channel = days.channel
            and periods.period_date <= days.received_date
            and periods.next_period_date > days.received_date
    group by
        {{ with_totals_of_lines_and_channels('days', [
            'periods.grain', 'periods.period_start', 'days.language', 'days.is_in_opening_hours',
        ]) | indent(8) }}

),

languages as (

    select language
    from (values ('en'), ('cy'), ('unknown')) as known (language)

    union

    select language
    from counted

),

final as (

    select
        completeness.grain,
        completeness.period_start,
        completeness.period_date,
        lines.line_of_business,
        completeness.channel,
        languages.language,
        hours.is_in_opening_hours,
        completeness.is_complete,
        coalesce(counted.contacts, 0) as contacts,
        coalesce(counted.inbound_contacts, 0) as inbound_contacts,
        coalesce(counted.answered, 0) as answered,
        coalesce(counted.complaints, 0) as complaints,
        build.build_id as _build_id
    from completeness
    cross join lines
    cross join languages
    cross join (values (true), (false)) as hours (is_in_opening_hours)
    cross join build
    left join counted
        on
            completeness.grain = counted.grain
            and completeness.period_start = counted.period_start
            and lines.line_of_business = counted.line_of_business
            and completeness.channel = counted.channel
            and languages.language = counted.language
            and hours.is_in_opening_hours = counted.is_in_opening_hours

)

select * from final
