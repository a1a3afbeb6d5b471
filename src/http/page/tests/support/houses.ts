// Houses for tests, and calls that somebody without a browser makes.

import { randomUUID } from "node:crypto";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { CatalogService } from "../../src/gen/holdfast/v1/catalog_pb.ts";
import type { EventSchema } from "../../src/gen/holdfast/v1/event_pb.ts";
import { OperatorService } from "../../src/gen/holdfast/v1/operator_pb.ts";
import { ReservationService, type Hold } from "../../src/gen/holdfast/v1/reservation_pb.ts";

export interface Plan {
  sections?: string[];
  rows?: number;
  seats?: number;
  /** Whether the chart says where its seats are. */
  places?: boolean;
  standing?: number;
  holdTtlMs?: number;
  more?: MessageInitShape<typeof EventSchema>;
}

/** Everybody who is not a browser. */
export class Others {
  readonly catalog;
  readonly operator;
  readonly reservation;

  constructor(grpc: string) {
    const transport = createGrpcWebTransport({ baseUrl: grpc });
    this.catalog = createClient(CatalogService, transport);
    this.operator = createClient(OperatorService, transport);
    this.reservation = createClient(ReservationService, transport);
  }

  /** A house of a test's own; answers its event_id. */
  async house(plan: Plan = {}): Promise<string> {
    const { sections = ["left", "right"], rows = 6, seats = 10, places = true } = plan;
    const eventId = `house-${randomUUID().slice(0, 8)}`;
    const width = seats * 0.55 + 1.2;
    const chart = {
      priceCategories: [category("front", 60), category("rear", 35), category("stand", 15)],
      sections: sections.map((name, s) => ({
        sectionId: name,
        name: `The ${name}`,
        rows: count(rows).map((row) => ({
          rowId: String(row),
          seats: count(seats).map((seat) => ({
            seatId: `${name}:${row}:${seat}`,
            priceCategoryId: row <= rows / 2 ? "front" : "rear",
            ...(places && {
              x: (s - (sections.length - 1) / 2) * width + (seat - (seats + 1) / 2) * 0.55,
              y: 5 + row * 0.9,
            }),
          })),
        })),
      })),
      areas: plan.standing
        ? [{ areaId: "floor", name: "Floor", capacity: plan.standing, priceCategoryId: "stand" }]
        : [],
    };
    const event = {
      eventId,
      name: `Evening ${eventId.slice(-4)}`,
      venue: "The Hall",
      city: "Leeds",
      startTime: timestampFromDate(new Date("2030-05-01T19:30:00Z")),
      ...(plan.holdTtlMs && { holdTtl: durationFromMs(plan.holdTtlMs) }),
      ...plan.more,
    };
    await this.catalog.createEvent({ event, chart });
    return eventId;
  }

  /** Somebody else holds these; answers the hold_id. */
  async hold(eventId: string, seatIds: string[], ttlMs?: number): Promise<string> {
    const holdId = randomUUID();
    const ttl = ttlMs === undefined ? {} : { ttl: durationFromMs(ttlMs) };
    await this.reservation.hold({ eventId, holdId, holderId: "somebody", seatIds, ...ttl });
    return holdId;
  }

  /** An operator ends the hold that runs out first. */
  async endHold(eventId: string): Promise<void> {
    const holdId = (await this.openHold(eventId)).holdId;
    await this.operator.forceReleaseHold({ eventId, holdId, actor: "olga", reason: "a test" });
  }

  /** The hold that runs out first. */
  async openHold(eventId: string): Promise<Hold> {
    const { holds } = await this.operator.listOpenHolds({ eventId });
    const hold = holds[0]?.hold;
    if (!hold) throw new Error("there is no hold");
    return hold;
  }
}

function category(priceCategoryId: string, units: number) {
  const price = { currencyCode: "EUR", units: BigInt(units), nanos: 0 };
  return { priceCategoryId, name: `Price ${priceCategoryId}`, price };
}

export function count(to: number): number[] {
  return Array.from({ length: to }, (_, n) => n + 1);
}

/** An arena of 20,000 seats: fifty blocks of twenty rows of twenty, in two rings. */
export async function arena(others: Others): Promise<string> {
  const eventId = `arena-${randomUUID().slice(0, 8)}`;
  const blocks = count(50).map((n) => {
    const isInner = n <= 20;
    const [place, of] = isInner ? [n, 20] : [n - 20, 30];
    return { name: String(isInner ? 100 + n : 200 + n - 20), turn: (place / of) * 2 * Math.PI };
  });
  const chart = {
    priceCategories: [category("lower", 110), category("upper", 65)],
    sections: blocks.map(({ name, turn }) => ({
      sectionId: name,
      name: `Block ${name}`,
      rows: count(20).map((row) => ({
        rowId: String(row),
        seats: count(20).map((seat) => {
          const isInner = name.startsWith("1");
          const [u, v] = [(seat - 10.5) * 0.55, (isInner ? 40 : 62) + row * 0.9];
          return {
            seatId: `${name}:${row}:${seat}`,
            priceCategoryId: isInner ? "lower" : "upper",
            x: u * Math.cos(turn) - v * Math.sin(turn),
            y: u * Math.sin(turn) + v * Math.cos(turn),
          };
        }),
      })),
    })),
  };
  const startTime = timestampFromDate(new Date("2030-06-12T20:00:00Z"));
  await others.catalog.createEvent({ event: { eventId, name: "Arena", startTime }, chart });
  return eventId;
}
