{#-
    From the quarter hours in which something changed to the periods, at every grain, that hold one: what an incremental mart by period
    writes anew. Give the name of a CTE with the columns interval_start and spine_start (the quarter hour in which the mart begins), and
    the interface whose missing files make a period incomplete. Without an interface the CTE says it, row by row, beside the channel:
    columns channel and interface. Writes CTEs, of which the last is `final`.
-#}
{% macro periods_holding(intervals, interface=none) -%}
missing as (

    {{ files_missing() | indent(4) }}

),

periods as (

    {% for grain, period_start, period_end in period_bounds() -%}
    select
        {{ "'" ~ interface ~ "'" if interface else "instants.channel, instants.interface" }}{{ " as interface" if interface }},
        '{{ grain }}' as grain,
        {{ period_start }} as period_start,
        {{ period_end }} as period_end,
        min(instants.spine_start) as spine_start
    from {{ intervals }} as instants
    group by {{ "3, 4" if interface else "1, 2, 4, 5" }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

final as (

    select
        {{ "periods.channel," if not interface }}
        periods.grain,
        periods.period_start,
        periods.period_end,
        {{ local_time('periods.period_start') }} as period_start_local,
        {{ local_date('periods.period_start') }} as period_date,
        -- What changed in it may lie before the spine, although the period itself reaches beyond.
        periods.period_end > periods.spine_start as is_in_spine,
        -- Less than a day is added up from quarter hours, more from days.
        periods.grain in ('15min', '30min', 'hour') as is_within_day,
        {{ is_complete('periods') | indent(8) }} as is_complete
    from periods

)
{%- endmacro %}

{#-
    The quarter hours of the periods of the CTE `periods` that are shorter than a day: grain, period_start and interval_start. They are joined
    by equal instants, for which the planner knows what a look-up costs; of a range it knows nothing, and reads all history.
-#}
{% macro quarters_of_periods() -%}
select
    periods.grain,
    periods.period_start,
    periods.period_start + quarters.minutes * interval '1 minute' as interval_start
from periods
inner join (values (0), (15), (30), (45)) as quarters (minutes)
    on periods.period_end > periods.period_start + quarters.minutes * interval '1 minute'
where periods.is_within_day
{%- endmacro %}

{#- The stretches for which a file is missing, as far as the figures reach: what begins at as_of or later has not happened. -#}
{% macro files_missing() -%}
    select missing_files.*
    from {{ ref('int_files_missing') }} as missing_files
    inner join {{ ref('stg_ops__builds') }} as builds on missing_files.emitted_after < builds.as_of
{%- endmacro %}

{#-
    True when no file is missing that tells of a period, from where its figures begin: so a period is complete when all its quarter hours
    are, and no other row must be remembered to see it become so. `periods` has the columns interface, period_start, period_end and
    spine_start; `missing` is a CTE, see files_missing().
-#}
{% macro is_complete(periods) -%}
not exists (
    select 1
    from missing
    where
        {{ periods }}.interface = missing.interface
        and greatest({{ periods }}.period_start, {{ periods }}.spine_start) <= missing.emitted_until
        and {{ periods }}.period_end > missing.emitted_after
)
{%- endmacro %}

{#-
    The days that an added build writes anew in a mart that has no grain below a day, and is dense from the day of `first_at` (an SQL
    expression over no relation) to as_of; in a full build, all of them. `moved` names a CTE of stretches in which a figure may have
    changed (begins, ends), that of the time that has passed among them. Needs the CTE `build`. Writes CTEs, of which the last, `days`,
    has the columns interval_start and spine_start.
-#}
{% macro dense_days_changed(mart, interfaces, first_at, moved) -%}
spine as (

    select
        {{ instant_of_local(local_date(first_at) ~ '::timestamp') }} as spine_start
        {%- if not is_full_build() %},
        (
            select min(stood.period_start)
            from {{ source('last_build', mart) }} as stood
            where stood.grain = 'day'
        ) as last_spine_start
        {%- endif %}

),

stretches as (

    {% if is_full_build() -%}
    select
        spine.spine_start as begins,
        build.as_of as ends
    from spine
    cross join build
    {%- else -%}
    select
        begins,
        ends
    from {{ moved }}

    union all

    -- Time between where the figures began and where they begin now.
    select
        least(spine_start, last_spine_start) as begins,
        greatest(spine_start, last_spine_start) as ends
    from spine

    union all

    -- Time about which a file that is missing, or no longer is, would tell.
    select
        missing_files.emitted_after as begins,
        missing_files.emitted_until + interval '1 microsecond' as ends
    from {{ ref('int_files_missing') }} as missing_files
    where missing_files.interface in ({% for interface in interfaces %}'{{ interface }}'{{ ", " if not loop.last }}{% endfor %})

    union all

    select
        incomplete.period_start as begins,
        incomplete.period_start + interval '1 microsecond' as ends
    from {{ source('last_build', mart) }} as incomplete
    where
        incomplete.grain = 'day'
        and not incomplete.is_complete
    {%- endif %}

),

days as (

    select distinct
        dates.day_start as interval_start,
        spine.spine_start
    from stretches
    cross join spine
    cross join build
    inner join {{ ref('dim_date') }} as dates
        on
            dates.date_day >= {{ local_date('stretches.begins') }}
            and stretches.ends > dates.day_start
            and build.as_of > dates.day_start
    where stretches.ends > stretches.begins

)
{%- endmacro %}

{#-
    The quarter hours that an added build writes anew in marts whose rows are dense from the first call, or the first of their own, to as_of;
    in a full build, all of them. `channels` is a list of (channel, interface, mart); `firsts` names a CTE with the columns channel and
    first_at; `moved` a relation with the columns channel and interval_start. Writes CTEs, of which the last is `final`.
-#}
{% macro dense_intervals_changed(channels, firsts, moved) -%}
build as (

    select * from {{ ref('stg_ops__builds') }}

),

first_call as (

    select min(interval_start) as interval_start
    from {{ ref('fct_calls') }}

),

last_starts as (

    {% for channel, interface, mart in channels -%}
    select
        '{{ channel }}' as channel,
        '{{ interface }}' as interface,
        {%- if is_full_build() %}
        null::timestamptz as spine_start
        {%- else %}
        min(stood.period_start) as spine_start
    from {{ source('last_build', mart) }} as stood
    where stood.grain = '15min'
        {%- endif %}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

spines as (

    select
        last_starts.channel,
        last_starts.interface,
        least(first_call.interval_start, {{ interval_of('firsts.first_at') }}) as spine_start,
        last_starts.spine_start as last_spine_start
    from last_starts
    cross join first_call
    inner join {{ firsts }} as firsts on last_starts.channel = firsts.channel

),

changed as (

    {% if is_full_build() -%}

    select
        spines.channel,
        whole_spine.interval_start
    from spines
    cross join build
    cross join lateral {{ quarter_hours('spines.spine_start', 'build.as_of') }} as whole_spine (interval_start)

    {%- else -%}

    select
        moved.channel,
        moved.interval_start
    from {{ moved }} as moved

    union

    -- Time that has passed since the last build.
    select
        spines.channel,
        passed.interval_start
    from spines
    cross join build
    cross join lateral {{ quarter_hours('build.previous_as_of', 'build.as_of') }} as passed (interval_start)

    union

    -- Time between where the figures began and where they begin now.
    select
        spines.channel,
        between_starts.interval_start
    from spines
    cross join lateral {{ quarter_hours(
        'least(spines.spine_start, spines.last_spine_start)', 'greatest(spines.spine_start, spines.last_spine_start)'
    ) }} as between_starts (interval_start)

    union

    -- Time about which a file that is missing, or no longer is, would tell.
    select
        spines.channel,
        untold.interval_start
    from spines
    inner join {{ ref('int_files_missing') }} as missing on spines.interface = missing.interface
    cross join lateral {{ quarter_hours('missing.emitted_after', "(missing.emitted_until + interval '1 microsecond')") }}
        as untold (interval_start)

    {%- for channel, _, mart in channels %}

    union

    select
        '{{ channel }}' as channel,
        {{ interval_of('incomplete.period_start') }} as interval_start
    from {{ source('last_build', mart) }} as incomplete
    where
        incomplete.grain = '15min'
        and not incomplete.is_complete
    {%- endfor %}

    {%- endif %}

),

final as (

    select
        changed.channel,
        spines.interface,
        changed.interval_start,
        spines.spine_start
    from changed
    cross join build
    inner join spines on changed.channel = spines.channel
    where changed.interval_start < build.as_of

)
{%- endmacro %}
