{{ config(unlogged=true, indexes=[{'columns': ['channel', 'interval_start'], 'unique': true}]) }}

with firsts as (

    {% for channel, _, _ in backlog_channels() -%}
    select
        '{{ channel }}' as channel,
        min(moves.interval_start) as first_at
    from {{ ref('int_backlog_moves') }} as moves
    where moves.channel = '{{ channel }}'
    {{ "union all" if not loop.last }}
    {% endfor %}

),

{{ dense_intervals_changed(backlog_channels(), 'firsts', ref('int_backlog_intervals_moved')) }}

select * from final
