-- Charts: what is sold, and for how much. Seats and areas are numbered from 0
-- in the order in which they were added; a number never changes.

CREATE TABLE price_categories (
    event_id          text NOT NULL REFERENCES events,
    price_category_id text NOT NULL,
    position          int NOT NULL,
    name              text NOT NULL,
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    price_micros      bigint NOT NULL CHECK (price_micros >= 0),
    PRIMARY KEY (event_id, price_category_id)
);

CREATE TABLE sections (
    event_id      text NOT NULL REFERENCES events,
    section_id    text NOT NULL,
    section_index int NOT NULL,
    name          text NOT NULL,
    PRIMARY KEY (event_id, section_id),
    UNIQUE (event_id, section_index)
);

CREATE TABLE seats (
    event_id          text NOT NULL,
    seat_index        int NOT NULL CHECK (seat_index >= 0),
    seat_id           text NOT NULL,
    section_id        text NOT NULL,
    row_index         int NOT NULL,
    row_id            text NOT NULL,
    price_category_id text NOT NULL,
    accessible        boolean NOT NULL,
    x                 real NOT NULL,
    y                 real NOT NULL,
    blocked           boolean NOT NULL DEFAULT false,
    PRIMARY KEY (event_id, seat_index),
    CONSTRAINT seats_seat_id_key UNIQUE (event_id, seat_id),
    FOREIGN KEY (event_id, section_id) REFERENCES sections,
    FOREIGN KEY (event_id, price_category_id) REFERENCES price_categories
);

CREATE TABLE areas (
    event_id          text NOT NULL,
    area_index        int NOT NULL CHECK (area_index >= 0),
    area_id           text NOT NULL,
    name              text NOT NULL,
    capacity          int NOT NULL,
    sold              int NOT NULL DEFAULT 0,
    price_category_id text NOT NULL,
    PRIMARY KEY (event_id, area_index),
    CONSTRAINT areas_area_id_key UNIQUE (event_id, area_id),
    FOREIGN KEY (event_id, price_category_id) REFERENCES price_categories,
    -- Never more sold than there is, whatever Redis says.
    CONSTRAINT areas_sold_within_capacity CHECK (sold BETWEEN 0 AND capacity)
);
