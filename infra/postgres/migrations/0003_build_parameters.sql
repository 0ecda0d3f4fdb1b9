-- What a build is told: the instant it looks from, where the last one looked from, and the parameters of the metrics. Models read
-- them here rather than from command-line variables, so that the parsed project stays valid from one build to the next and anyone
-- can see in the database which parameters stand behind the figures.

alter table ops.builds
    add column previous_as_of timestamptz,
    add column short_abandon_seconds numeric not null default 5,
    add column duration_seconds numeric(12, 3),
    add constraint builds_look_forward check (full_refresh or previous_as_of <= as_of);

create view ops.current_build as
select build_id, as_of, previous_as_of, full_refresh, short_abandon_seconds
from ops.builds
order by build_id desc
limit 1;
comment on view ops.current_build is 'The build that runs now, or else the last one: one row, or none before the first build.';
