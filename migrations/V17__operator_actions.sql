-- What operators did to holds by hand, whoever's they were.

CREATE TABLE operator_actions (
    -- Given out in the order in which they were asked for: pages go back by it.
    operator_action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id           text NOT NULL REFERENCES events,
    kind               text NOT NULL CHECK (kind IN ('RELEASE', 'EXTEND', 'REASSIGN')),
    hold_id            uuid NOT NULL,
    holder_id          text NOT NULL,
    new_holder_id      text CHECK ((new_holder_id IS NOT NULL) = (kind = 'REASSIGN')),
    expire_time        timestamptz CHECK ((expire_time IS NOT NULL) = (kind = 'EXTEND')),
    actor              text NOT NULL,
    reason             text NOT NULL,
    -- As the server knows him; null where callers are not told apart.
    caller             text,
    create_time        timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX operator_actions_by_event ON operator_actions (event_id, operator_action_id);
