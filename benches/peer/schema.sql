-- The tables of the peer.

CREATE TABLE orders (
    order_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id    text NOT NULL,
    hold_id     text NOT NULL UNIQUE,
    holder_id   text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tickets (
    ticket_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id  bigint NOT NULL REFERENCES orders,
    event_id  text NOT NULL,
    seat_id   text NOT NULL,
    UNIQUE (event_id, seat_id)
);
