{{ config(unlogged=true, indexes=[{'columns': ['channel', 'interval_start'], 'unique': true}]) }}

with firsts as (

    {% for channel, _, _ in volume_channels() -%}
    select
        '{{ channel }}' as channel,
        min(contacts.received_at) as first_at
    from {{ ref('fct_contacts') }} as contacts
    where contacts.channel = '{{ channel }}'
    {{ "union all" if not loop.last }}
    {% endfor %}

),

{{ dense_intervals_changed(volume_channels(), 'firsts', ref('int_contact_intervals_changed')) }}

select * from final
