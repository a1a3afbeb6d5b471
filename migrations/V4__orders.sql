-- What is sold, for good. These constraints alone would never sell a seat twice.

CREATE TABLE orders (
    order_id          uuid PRIMARY KEY,
    event_id          text NOT NULL REFERENCES events,
    hold_id           uuid NOT NULL CONSTRAINT orders_hold_id_key UNIQUE,
    holder_id         text NOT NULL,
    state             text NOT NULL
        CHECK (state IN ('PENDING', 'PAID', 'CANCELLED', 'REFUND_DUE', 'REFUNDED')),
    currency          text NOT NULL,
    total_micros      bigint NOT NULL CHECK (total_micros >= 0),
    payment_reference text NOT NULL CONSTRAINT orders_payment_reference_key UNIQUE,
    create_time       timestamptz NOT NULL DEFAULT now(),
    pay_time          timestamptz
);

CREATE TABLE tickets (
    ticket_id    uuid PRIMARY KEY,
    order_id     uuid NOT NULL REFERENCES orders,
    event_id     text NOT NULL,
    seat_index   int,
    area_index   int,
    price_micros bigint NOT NULL CHECK (price_micros >= 0),
    CONSTRAINT tickets_seat_key UNIQUE (event_id, seat_index),
    CONSTRAINT tickets_one_place CHECK (num_nonnulls(seat_index, area_index) = 1),
    FOREIGN KEY (event_id, seat_index) REFERENCES seats,
    FOREIGN KEY (event_id, area_index) REFERENCES areas
);

-- Without it the clean-up of a losing group of sales would scan.
CREATE INDEX tickets_by_order ON tickets (order_id);
