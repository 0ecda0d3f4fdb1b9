{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line_of_business'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(volume_periods_changed('text')) }}",
    post_hook="{{ index_on('(period_start) where not is_complete') }}",
) }}

with {{ components_by_period('text', ref('int_text_measures_15min'), ref('int_text_measures_day')) }},

final as (

    select
        grain,
        period_start,
        period_end,
        period_start_local,
        period_date,
        hour_of_day,
        line_of_business,
        is_complete,
        texts_sent,
        texts_received,
        delivered,
        failed,
        undelivered_yet,
        {{ ratio('delivery_seconds', 'deliveries_timed') }} as delivery_avg_seconds,
        delivery_max_seconds,
        delivery_seconds,
        deliveries_timed,
        _build_id
    from dense

)

select * from final
