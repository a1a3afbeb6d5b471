// What a refused call says, read from its details.

import { Code, ConnectError } from "@connectrpc/connect";
import {
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.ts";
import type { ErrorReason } from "./gen/holdfast/v1/errors_pb.ts";

/** Names of the contract's reasons; empty where a failure is not Holdfast's. */
export type Reason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED"> | "";

const DOMAIN = "holdfast";
// Made by the network or a deadline, not by a server that says what it did.
const MAYBE_DONE = new Set([
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unavailable,
  Code.Unknown,
]);
const WORTH_REPEATING = new Set<Reason>([
  "DEADLINE_EXCEEDED",
  "OUTCOME_UNKNOWN",
  "OVERLOADED",
  "SERVER_DRAINING",
  "STORE_UNAVAILABLE",
]);
const OUTCOMES_UNKNOWN = new Set<Reason>(["DEADLINE_EXCEEDED", "OUTCOME_UNKNOWN", "INTERNAL"]);

/** In words of whoever looks at the page; what is not here is told by the server's text. */
const WORDS: Partial<Record<Reason, string>> = {
  SEAT_UNAVAILABLE: "Somebody was faster",
  INSUFFICIENT_CAPACITY: "There are not so many left",
  HOLD_EXPIRED: "The hold has run out",
  HOLD_RELEASED: "The hold was released",
  HOLD_LOST: "The hold was lost",
  EVENT_NOT_ON_SALE: "The event is not on sale now",
  HOLDER_LIMIT_EXCEEDED: "More than one person may have",
  HOLDER_COOLING_DOWN: "Too many holds ran out; please wait a while",
  ORPHAN_SEAT: "This would leave a single seat alone",
  CHANNEL_REQUIRED: "These are kept for others",
  ADMISSION_REQUIRED: "This event has a waiting room, which this page does not join",
  OVERLOADED: "Too much at once; please try again",
  STORE_UNAVAILABLE: "The service cannot answer at the moment",
  ROLE_REQUIRED: "Your token does not allow this",
};

/** A call that failed. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly reason: Reason = "";
  readonly metadata: Readonly<Record<string, string>> = {};
  /** Seats and areas that stand in the way; at most 60 are named. */
  readonly inTheWay: readonly string[] = [];
  readonly retryAfterMs: number = 0;

  constructor(
    readonly code: Code,
    text: string,
    cause?: ConnectError,
  ) {
    super(text);
    if (!cause) return;
    const info = cause.findDetails(ErrorInfoSchema).find(({ domain }) => domain === DOMAIN);
    // A newer server may have reasons that this does not know.
    this.reason = (info?.reason ?? "") as Reason;
    this.metadata = info?.metadata ?? {};
    const violations = cause.findDetails(PreconditionFailureSchema).flatMap((f) => f.violations);
    this.inTheWay = violations.map(({ subject }) => subject);
    const { seconds = 0n, nanos = 0 } = cause.findDetails(RetryInfoSchema)[0]?.retryDelay ?? {};
    this.retryAfterMs = Number(seconds) * 1_000 + nanos / 1e6;
  }

  static of(failure: unknown): Refusal {
    if (failure instanceof Refusal) return failure;
    const error = ConnectError.from(failure);
    return new Refusal(error.code, error.rawMessage, error);
  }

  /** For people, with the reason in its own word. */
  get told(): string {
    if (!this.reason) return `No answer (${this.message})`;
    const words = WORDS[this.reason] ?? this.message;
    const needed = this.metadata["role"];
    return `${words}${needed ? `: it takes the role ${needed}` : ""}`;
  }

  /** Whether the same call with the same ids may be answered otherwise soon. */
  get isWorthRepeating(): boolean {
    return this.reason ? WORTH_REPEATING.has(this.reason) : MAYBE_DONE.has(this.code);
  }

  /** Whether the call may have taken effect. */
  get isOutcomeUnknown(): boolean {
    return this.reason ? OUTCOMES_UNKNOWN.has(this.reason) : MAYBE_DONE.has(this.code);
  }
}
