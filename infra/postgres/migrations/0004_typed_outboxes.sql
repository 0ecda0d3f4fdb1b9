-- The rows of a planned aggregate batch are kept with their types instead of as JSON, which took minutes for a year of figures. The
-- publisher makes one table for each such feed, ops.outbox_<model>, from the contract of its model.

drop table ops.feed_outbox;
