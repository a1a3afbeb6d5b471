// Hold, Confirm, Release: repeated under the same ids until there is an answer.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Connection } from "./connection.js";
import { HoldfastError } from "./errors.js";
import {
  ReservationService,
  type ConfirmRequestSchema,
  type ExtendHoldRequestSchema,
  type GetSeatMapResponse,
  type Hold,
  type HoldRequestSchema,
  type Order,
  type ReleaseRequestSchema,
} from "./gen/holdfast/v1/reservation_pb.js";

export const DEFAULT_PATIENCE_MS = 60_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

type HeldBy = Pick<Hold, "eventId" | "holdId" | "holderId">;

/**
 * ReservationService over a connection.
 *
 * Its service config repeats a call for a second or two, as any gRPC client does. Where
 * that was not enough, this goes on with the same ids until `patienceMs` is over: a call
 * whose answer was lost may have taken effect, and only the same call again tells. Every
 * method rejects with HoldfastError; one that `isOutcomeUnknown` is not a no.
 */
export class Reservations {
  constructor(
    readonly connection: Connection,
    readonly patienceMs: number = DEFAULT_PATIENCE_MS,
  ) {}

  /**
   * Takes all of it or nothing. Name a `holdId` that you have written down first, and
   * the hold is found again even if this process ends before the answer comes.
   */
  async hold(request: MessageInitShape<typeof HoldRequestSchema>): Promise<Hold> {
    // Never left to the server: what has no id cannot be asked for again.
    const named = { ...request, holdId: request.holdId || randomUUID() };
    return there((await this.#repeat(ReservationService.method.hold, named)).hold);
  }

  /** Moves the end of a hold to now + ttl. */
  async extend(
    hold: HeldBy,
    ttl: NonNullable<MessageInitShape<typeof ExtendHoldRequestSchema>["ttl"]>,
  ): Promise<Hold> {
    const request = { ...ids(hold), ttl };
    return there((await this.#repeat(ReservationService.method.extendHold, request)).hold);
  }

  /** Gives back what is named, or all of it. */
  async release(
    hold: HeldBy,
    what: Pick<MessageInitShape<typeof ReleaseRequestSchema>, "seatIds" | "areas"> = {},
  ): Promise<Hold> {
    const request = { ...ids(hold), ...what };
    return there((await this.#repeat(ReservationService.method.release, request)).hold);
  }

  /** Sells the hold. Again, with the same reference, is the same order. */
  async confirm(hold: HeldBy, paymentReference: string): Promise<Order> {
    const request: MessageInitShape<typeof ConfirmRequestSchema> = {
      ...ids(hold),
      paymentReference,
    };
    return there((await this.#repeat(ReservationService.method.confirm, request)).order);
  }

  /** A hold as it is, or as it ended. */
  async getHold(eventId: string, holdId: string): Promise<Hold> {
    const request = { eventId, holdId };
    return there((await this.#repeat(ReservationService.method.getHold, request)).hold);
  }

  /** One consistent picture of the house. */
  getSeatMap(eventId: string): Promise<GetSeatMapResponse> {
    return this.#repeat(ReservationService.method.getSeatMap, { eventId });
  }

  #repeat<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    return repeat(this.connection, method, request, this.patienceMs);
  }
}

/** Makes a call, again and again where that may help, until `patienceMs` is over. */
export async function repeat<I extends DescMessage, O extends DescMessage>(
  connection: Connection,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  patienceMs: number,
): Promise<MessageShape<O>> {
  const deadline = Date.now() + patienceMs;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      return await connection.unary(method, request, Math.max(deadline - Date.now(), 1));
    } catch (failure) {
      const error = HoldfastError.of(failure);
      // Not all at once: whoever was refused together would come back together.
      const waitMs = Math.max(error.retryAfterMs ?? 0, pauseMs) * (0.5 + Math.random());
      if (!error.isWorthRepeating || Date.now() + waitMs > deadline) throw error;
      await sleep(waitMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

function ids({ eventId, holdId, holderId }: HeldBy): HeldBy {
  return { eventId, holdId, holderId };
}

/** The contract always answers it; the types of Protocol Buffers cannot say so. */
function there<T>(answer: T | undefined): T {
  if (answer === undefined) throw new Error("the server's answer is empty");
  return answer;
}
