{{ config(
    indexes=[
        {'columns': ['grain', 'period_start', 'line', 'age_hours'], 'unique': true},
        {'columns': ['_build_id']},
    ],
    pre_hook="{{ replace_changed_periods(backlog_periods_changed('email')) }}",
) }}

{{ completed_by_age('email', 'replied', 'emails') }}
