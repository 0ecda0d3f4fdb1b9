{{ config(unlogged=true, indexes=[{'columns': ['call_id'], 'unique': true}]) }}

{{ calls_in_sequence(ref('int_caller_calls_changed')) }}
