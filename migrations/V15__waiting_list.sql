-- Who waits for what is freed, in order of joining, and what was offered to whom.

-- Events that have, or had, a waiting list; one server at a time makes its offers.
CREATE TABLE waiting_lists (
    event_id    text PRIMARY KEY REFERENCES events,
    worker      uuid,
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
);

CREATE TABLE waiting_list_entries (
    entry_id          uuid NOT NULL,
    event_id          text NOT NULL REFERENCES waiting_lists,
    -- The order of joining.
    place             bigint GENERATED ALWAYS AS IDENTITY,
    holder_id         text NOT NULL,
    party_size        int NOT NULL CHECK (party_size > 0),
    section_id        text,
    price_category_id text,
    area_id           text,
    state             text NOT NULL DEFAULT 'WAITING'
        CHECK (state IN ('WAITING', 'OFFERED', 'FULFILLED', 'LAPSED', 'LEFT')),
    create_time       timestamptz NOT NULL DEFAULT now(),
    -- Not offered anything before: a hold was refused for a reason of the holder's.
    next_time         timestamptz NOT NULL DEFAULT now(),
    -- The only hold that this entry ever has; noted before it is made.
    hold_id           uuid,
    offer_time        timestamptz,
    -- Its offer was begun, and nobody has noted yet what became of it.
    in_doubt          boolean NOT NULL DEFAULT false,
    -- Once it is offered: until when it is good, and the epoch that it was last seen in.
    expire_time       timestamptz,
    epoch             bigint,
    -- Its hold is being released by whoever leaves.
    leaving           boolean NOT NULL DEFAULT false,
    end_time          timestamptz,
    PRIMARY KEY (event_id, entry_id),
    FOREIGN KEY (event_id, area_id) REFERENCES areas (event_id, area_id),
    CHECK (area_id IS NULL OR (section_id IS NULL AND price_category_id IS NULL)),
    CHECK (state <> 'OFFERED' OR (hold_id IS NOT NULL AND expire_time IS NOT NULL)),
    CHECK (NOT in_doubt OR hold_id IS NOT NULL)
);

CREATE INDEX waiting_in_order ON waiting_list_entries (event_id, place)
    WHERE state = 'WAITING';
CREATE INDEX waiting_list_offered ON waiting_list_entries (event_id, hold_id)
    WHERE state = 'OFFERED';
CREATE INDEX waiting_list_in_doubt ON waiting_list_entries (event_id) WHERE in_doubt;
CREATE INDEX waiting_list_of_holder ON waiting_list_entries (event_id, holder_id)
    WHERE state IN ('WAITING', 'OFFERED');
CREATE INDEX waiting_list_ended ON waiting_list_entries (end_time) WHERE end_time IS NOT NULL;
