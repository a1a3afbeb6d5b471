// What an error tells, read from its details.

import * as grpc from "@grpc/grpc-js";
import { createRegistry, fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
  type BadRequest,
  type ErrorInfo,
  type PreconditionFailure,
  type QuotaFailure,
  type RetryInfo,
} from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";
import { ErrorReason } from "./gen/holdfast/v1/errors_pb.js";

/** Names of the contract's reasons; empty where a failure is not Holdfast's. */
export type Reason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED"> | "";

/** A field that is malformed, such as `areas[0].quantity`, and why. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** What stands in the way: `SEAT_HELD` and a seat, `AREA_CAPACITY` and an area. */
export interface Precondition {
  readonly type: string;
  readonly subject: string;
  readonly description: string;
}

/** A limit that the call would go beyond. */
export interface Quota {
  readonly subject: string;
  readonly description: string;
}

type Detail = ErrorInfo | BadRequest | PreconditionFailure | QuotaFailure | RetryInfo;

const DOMAIN = "holdfast";
const DETAILS = createRegistry(
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
);
const SEAT_TAKEN = new Set(["SEAT_HELD", "SEAT_SOLD", "SEAT_BLOCKED"]);
// Made by the network or a deadline, not by a server that says what it did.
const MAYBE_DONE = new Set([
  grpc.status.CANCELLED,
  grpc.status.DEADLINE_EXCEEDED,
  grpc.status.INTERNAL,
  grpc.status.UNAVAILABLE,
  grpc.status.UNKNOWN,
]);
const UNKNOWN_OUTCOME = new Set<Reason>(["OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL"]);
const WORTH_REPEATING = new Set<Reason>([
  "DEADLINE_EXCEEDED",
  "OUTCOME_UNKNOWN",
  "OVERLOADED",
  "SERVER_DRAINING",
  "STORE_UNAVAILABLE",
]);

/** A call that failed. */
export class HoldfastError extends Error {
  override readonly name = "HoldfastError";
  reason: Reason = "";
  metadata: Readonly<Record<string, string>> = {};
  fields: readonly FieldViolation[] = [];
  preconditions: readonly Precondition[] = [];
  quotas: readonly Quota[] = [];
  retryAfterMs: number | undefined;

  constructor(
    readonly code: grpc.status,
    message: string,
  ) {
    super(message);
  }

  /** Reads `google.rpc.Status` from the trailers, and all that is in it. */
  static of(error: unknown): HoldfastError {
    if (error instanceof HoldfastError) return error;
    if (!isServiceError(error)) return new HoldfastError(grpc.status.UNKNOWN, String(error));
    const told = new HoldfastError(error.code, error.details);
    const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
    if (bytes instanceof Uint8Array) {
      fromBinary(StatusSchema, bytes).details.forEach((detail) => told.#read(detail));
    }
    return told;
  }

  #read(packed: Any): void {
    const detail = anyUnpack(packed, DETAILS) as Detail | undefined;
    switch (detail?.$typeName) {
      case "google.rpc.ErrorInfo":
        if (detail.domain !== DOMAIN) break;
        // A newer server may have reasons that this does not know.
        this.reason = detail.reason as Reason;
        this.metadata = detail.metadata;
        break;
      case "google.rpc.BadRequest":
        this.fields = detail.fieldViolations;
        break;
      case "google.rpc.PreconditionFailure":
        this.preconditions = detail.violations;
        break;
      case "google.rpc.QuotaFailure":
        this.quotas = detail.violations;
        break;
      case "google.rpc.RetryInfo": {
        const { seconds = 0n, nanos = 0 } = detail.retryDelay ?? {};
        this.retryAfterMs = Number(seconds) * 1_000 + nanos / 1e6;
        break;
      }
    }
  }

  /** Seats that are held, sold or blocked; at most 60 are named. */
  get unavailableSeats(): string[] {
    return this.preconditions.filter((p) => SEAT_TAKEN.has(p.type)).map((p) => p.subject);
  }

  /** Whether the call may have taken effect: the same ids again tell. */
  get isOutcomeUnknown(): boolean {
    return this.reason ? UNKNOWN_OUTCOME.has(this.reason) : MAYBE_DONE.has(this.code);
  }

  /** Whether the same call with the same ids may be answered otherwise soon. */
  get isWorthRepeating(): boolean {
    return this.reason ? WORTH_REPEATING.has(this.reason) : MAYBE_DONE.has(this.code);
  }
}

function isServiceError(error: unknown): error is grpc.ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}
