with source as (

    select * from {{ ref('stg_payments__confirmation_versions') }}

),

final as (

    select source.*
    from source
    where
        not exists (
            select 1
            from {{ ref('stg_payments__confirmation_versions') }} as later
            where
                later.payment_ref = source.payment_ref
                and {{ supersedes('later', 'source', 'event') }}
        )

)

select * from final
