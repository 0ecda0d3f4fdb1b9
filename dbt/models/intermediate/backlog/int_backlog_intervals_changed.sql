{{ config(unlogged=true, indexes=[{'columns': ['channel', 'interval_start'], 'unique': true}]) }}

with build as (

    select * from {{ ref('stg_ops__builds') }}

),

first_call as (

    select min(interval_start) as interval_start
    from {{ ref('fct_calls') }}

),

first_moves as (

    {% for channel, _, _ in backlog_channels() -%}
    select
        '{{ channel }}' as channel,
        min(moves.interval_start) as interval_start
    from {{ ref('int_backlog_moves') }} as moves
    where moves.channel = '{{ channel }}'
    {{ "union all" if not loop.last }}
    {% endfor %}

),

last_starts as (

    {% for channel, interface, mart in backlog_channels() -%}
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
        least(first_call.interval_start, first_moves.interval_start) as spine_start,
        last_starts.spine_start as last_spine_start
    from last_starts
    cross join first_call
    inner join first_moves on last_starts.channel = first_moves.channel

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
    from {{ ref('int_backlog_intervals_moved') }} as moved

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

    {%- for channel, _, mart in backlog_channels() %}

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

select * from final
