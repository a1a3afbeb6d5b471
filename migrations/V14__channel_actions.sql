-- Who kept places for a channel, freed them, or took what was kept for others.

CREATE TABLE channel_actions (
    -- Given out in the order in which they were asked for: pages go back by it.
    channel_action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id          text NOT NULL REFERENCES events,
    kind              text NOT NULL CHECK (kind IN ('ALLOCATE', 'FREE', 'OVERRIDE')),
    channel           text CHECK ((channel IS NOT NULL) = (kind = 'ALLOCATE')),
    hold_id           uuid CHECK ((hold_id IS NOT NULL) = (kind = 'OVERRIDE')),
    -- The first of them, where there are very many.
    seat_ids          text[] NOT NULL,
    area_ids          text[] NOT NULL,
    actor             text NOT NULL,
    reason            text NOT NULL,
    create_time       timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX channel_actions_by_event ON channel_actions (event_id, channel_action_id);

-- Found by the area that they are shares of, whose whole size counts them in.
CREATE INDEX areas_by_share_of ON areas (event_id, share_of) WHERE share_of IS NOT NULL;
