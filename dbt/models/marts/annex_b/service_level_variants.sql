{{ config(materialized='view') }}

{%- set variants = [
    ('F1', '(answered within T + abandoned within T) / (answered + abandoned)',
        'answered_within + abandoned_within', 'answered + abandoned'),
    ('F2', 'answered within T / answered', 'answered_within', 'answered'),
    ('F3', 'answered within T / (answered + abandoned)', 'answered_within', 'answered + abandoned'),
    ('F4', 'answered within T / (answered + abandoned - abandoned within T)',
        'answered_within', 'answered + abandoned - abandoned_within'),
    ('F5', '(answered within T + short abandons) / (answered + abandoned)',
        'answered_within + abandoned_short', 'answered + abandoned'),
] %}

with components as (

    select * from {{ ref('int_service_level_components') }}

),

variants as (

    {% for variant, formula, numerator, denominator in variants -%}
    select
        grain,
        period_start,
        line_of_business,
        threshold_seconds,
        '{{ variant }}' as variant,
        '{{ formula }}' as formula,
        {{ (variant == 'F2') | lower }} as is_contract,
        is_complete,
        {{ numerator }} as numerator,
        {{ denominator }} as denominator,
        _build_id
    from components
    {{ "union all" if not loop.last }}
    {% endfor %}

),

final as (

    select
        grain,
        period_start,
        line_of_business,
        threshold_seconds,
        variant,
        formula,
        is_contract,
        is_complete,
        numerator,
        denominator,
        {{ ratio('numerator', 'denominator') }} as service_level,
        _build_id
    from variants

)

select * from final
