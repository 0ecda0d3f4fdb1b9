{#- Periods that a KPI is judged over: a shorter one says nothing about a contract. -#}
{% macro kpi_grains() -%}
    {{ return(['day', 'week', 'month', 'quarter', 'year']) }}
{%- endmacro %}

{#- True for a row of those grains. -#}
{% macro is_kpi_grain() -%}
    grain in ('{{ kpi_grains() | join("', '") }}')
{%- endmacro %}

{#-
    Where the two sides of each KPI stand. `mart` has one row per grain, period_start and line; `line` is what it calls the line of
    business, and `changed` lists the periods of it that this build has written anew. `pending` counts what belongs to the period and is
    not known yet; `where` picks the rows of a mart that has several per period. A KPI of this list is a ratio of two sums of a mart, so
    that the KPI and the mart can never disagree.
-#}
{% macro kpis_of_marts() -%}
    {{ return([
        {'code': 'GOS_30', 'mart': ref('annex_b_calls'), 'line': 'line_of_business', 'changed': ref('int_periods_changed'),
         'numerator': 'answered_within_30s', 'denominator': 'calls_answered', 'pending': 'open_calls'},
        {'code': 'GOS_70', 'mart': ref('annex_b_calls'), 'line': 'line_of_business', 'changed': ref('int_periods_changed'),
         'numerator': 'answered_within_70s', 'denominator': 'calls_answered', 'pending': 'open_calls'},
        {'code': 'CALLS_ANSWERED', 'mart': ref('annex_b_calls'), 'line': 'line_of_business', 'changed': ref('int_periods_changed'),
         'numerator': 'calls_answered', 'denominator': 'calls_offered', 'pending': 'open_calls'},
        {'code': 'CALLS_ABANDONED', 'mart': ref('annex_b_calls'), 'line': 'line_of_business', 'changed': ref('int_periods_changed'),
         'numerator': 'abandoned_in_queue', 'denominator': 'calls_offered', 'pending': 'open_calls'},
        {'code': 'FORCED_DISCONNECTS', 'mart': ref('annex_b_calls'), 'line': 'line_of_business', 'changed': ref('int_periods_changed'),
         'numerator': 'forced_disconnects + forced_disconnects_in_queue', 'denominator': 'calls_received', 'pending': 'open_calls'},
        {'code': 'AHT', 'mart': ref('annex_b_calls'), 'line': 'line_of_business', 'changed': ref('int_periods_changed'),
         'numerator': 'handled_calls_seconds', 'denominator': 'handled_calls', 'pending': 'calls_answered - handled_calls'},
        {'code': 'FCR_7', 'mart': ref('annex_b_first_call_resolution'), 'line': 'line', 'changed': ref('int_resolution_periods_changed'),
         'where': 'x_days = 7', 'numerator': 'resolved', 'denominator': 'answered_with_number', 'pending': 'immature'},
        {'code': 'REPEAT_CALLS', 'mart': ref('annex_b_repeat_callers'), 'line': 'line', 'changed': ref('int_caller_periods_changed'),
         'numerator': 'repeat_calls', 'denominator': 'calls_with_number', 'pending': '0'},
        {'code': 'CALLBACKS_24H', 'mart': ref('annex_b_callbacks'), 'line': 'line', 'changed': backlog_periods_changed('callback'),
         'numerator': 'reached_in_time', 'denominator': 'due', 'pending': '0'},
        {'code': 'EMAILS_48H', 'mart': ref('email_volumes'), 'line': 'line', 'changed': backlog_periods_changed('email'),
         'numerator': 'replied_in_time', 'denominator': 'due', 'pending': '0'},
        {'code': 'WEBCHAT_60S', 'mart': ref('webchat_volumes'), 'line': 'line_of_business', 'changed': volume_periods_changed('webchat'),
         'numerator': 'accepted_within_60s', 'denominator': 'waits', 'pending': 'open_chats'},
    ]) }}
{%- endmacro %}

{#- Calls that have no place in the sequence of a caller's calls, as contributions that count on neither side: a query up to its `where`. -#}
{% macro calls_that_nobody_can_judge(code, grain, called, in_all=false) -%}
    select
        '{{ code }}' as kpi_code,
        {{ grain }} as grain,
        'call' as item_kind,
        calls.call_id as item_id,
        calls.line_of_business,
        calls.received_at as counted_at,
        0::numeric as numerator,
        {%- if in_all %}
        0::numeric as numerator_in_all,
        {%- endif %}
        0::numeric as denominator,
        null::numeric as measured_seconds,
        case
            when calls.is_test then 'Test call'
            else 'No caller number: nobody can tell whether the caller called {{ called }}'
        end as exclusion,
        calls.record_version,
        calls._file_id,
        calls._line_number
    from {{ ref('fct_calls') }} as calls
    where
        (calls.is_test or calls.caller_key is null)
{%- endmacro %}

{#- Why a call that was not answered is left out of a KPI, in words that a contract manager reads. -#}
{% macro outcome_in_words(outcome) -%}
    case {{ outcome }}
        when 'ivr_self_served' then 'Served by the IVR: never offered to an agent'
        when 'ivr_abandoned' then 'Ended by the caller in the IVR: never offered to an agent'
        when 'forced_disconnect' then 'Disconnected by the IVR: never offered to an agent'
        when 'abandoned_in_queue' then 'Abandoned in the queue: no agent answered'
        when 'queue_flow_out' then 'Left the queue for a call-back or another treatment: no agent answered'
        when 'forced_disconnect_in_queue' then 'Disconnected in the queue: no agent answered'
        else {{ outcome }}
    end
{%- endmacro %}

{#- Delete the rows of each KPI in the periods that this build writes anew. -#}
{% macro replace_changed_kpi_periods() -%}
    {%- if is_incremental() -%}
        {%- for codes, changed in kpi_codes_by_worklist() %}
        delete from {{ this }} as stood
        using {{ changed }} as changed
        where
            stood.kpi_code in ('{{ codes | join("', '") }}')
            and stood.grain = changed.grain
            and stood.period_start = changed.period_start;
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}

{#- The KPIs that share a list of changed periods: pairs of codes and list. -#}
{% macro kpi_codes_by_worklist() -%}
    {%- set codes = {} -%}
    {%- for kpi in kpis_of_marts() -%}
        {%- do codes.setdefault(kpi.changed | string, []).append(kpi.code) -%}
    {%- endfor -%}
    {%- set pairs = [] -%}
    {%- for changed, of_it in codes.items() -%}
        {%- do pairs.append((of_it, changed)) -%}
    {%- endfor -%}
    {{ return(pairs) }}
{%- endmacro %}

{#- Longest time between two loads of the WIP extract that its contract allows, as the alert of the same has it. -#}
{% macro promised_between_extracts() -%}
    interval '150 minutes'
{%- endmacro %}

{#- Hours from the request of a contact of the backlog until it falls due. -#}
{% macro due_hours(channel) -%}
    {{ return({'callback': 24, 'email': 48}[channel]) }}
{%- endmacro %}

{#- The instant at which a call-back or e-mail falls due: an answer at that very instant is late. -#}
{% macro falls_due_at(contacts, channel) -%}
    ({{ contacts }}.queued_at + interval '{{ due_hours(channel) }} hours')
{%- endmacro %}

{#- True when a call-back or e-mail was answered before it fell due. -#}
{% macro is_answered_in_time(contacts, channel) -%}
    coalesce({{ contacts }}.answered_at < {{ falls_due_at(contacts, channel) }}, false)
{%- endmacro %}

{#-
    Why a call-back or e-mail never falls due; null for one that does, or will. One that expired, or still waits, does: nobody was reached.
    What the customer withdrew, or was passed on, could no longer be answered in time.
-#}
{% macro why_never_due(contacts, channel) -%}
    case
        when {{ contacts }}.queued_at is null then 'Nobody asked for it: it has no age'
        when {{ contacts }}.ended_at < {{ contacts }}.queued_at then 'Resolved before it was asked for: a clock was wrong'
        when {{ is_answered_in_time(contacts, channel) }} then null
        {%- if channel == 'callback' %}
        when {{ contacts }}.outcome = 'cancelled' and {{ contacts }}.ended_at < {{ falls_due_at(contacts, channel) }} then 'Cancelled before it fell due'
        {%- else %}
        when {{ contacts }}.ended_at < {{ falls_due_at(contacts, channel) }} then 'Passed on before it fell due'
        {%- endif %}
    end
{%- endmacro %}
