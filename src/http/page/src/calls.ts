// Calls by gRPC-Web: who calls, how long to wait, and the same call again.

import {
  Code,
  ConnectError,
  createClient,
  type Client,
  type Interceptor,
} from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { Refusal } from "./errors.ts";
import { CatalogService } from "./gen/holdfast/v1/catalog_pb.ts";
import { CheckoutService } from "./gen/holdfast/v1/checkout_pb.ts";
import { OperatorService } from "./gen/holdfast/v1/operator_pb.ts";
import { ReservationService } from "./gen/holdfast/v1/reservation_pb.ts";
import { askForToken, token } from "./token.ts";

/** Of one call; a call without it would wait for ever for a network that says nothing. */
export const TIMEOUT_MS = 10_000;
const PATIENCE_MS = 20_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 3_000;

export interface Calls {
  readonly reservation: Client<typeof ReservationService>;
  readonly checkout: Client<typeof CheckoutService>;
  readonly catalog: Client<typeof CatalogService>;
  readonly operator: Client<typeof OperatorService>;
}

export function connect(grpcUrl: string): Calls {
  const transport = createGrpcWebTransport({ baseUrl: grpcUrl, interceptors: [authorize] });
  return {
    reservation: createClient(ReservationService, transport),
    checkout: createClient(CheckoutService, transport),
    catalog: createClient(CatalogService, transport),
    operator: createClient(OperatorService, transport),
  };
}

/** Brings the token along; asks for one where the server does. */
const authorize: Interceptor = (next) => async (request) => {
  for (;;) {
    const brought = token();
    if (brought) request.header.set("authorization", `Bearer ${brought}`);
    try {
      return await next(request);
    } catch (failure) {
      if (ConnectError.from(failure).code !== Code.Unauthenticated) throw failure;
      // Another call may have asked meanwhile.
      if (token() === brought) await askForToken(brought ? "This token was not taken." : "");
    }
  }
};

/**
 * Makes a call, again and again under the same ids where that may help. Rejects with
 * Refusal.
 */
export async function repeat<T>(
  call: (options: { timeoutMs: number }) => Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      return await call({ timeoutMs: TIMEOUT_MS });
    } catch (failure) {
      const refusal = Refusal.of(failure);
      // Not all at once: whoever was refused together would come back together.
      const waitMs = Math.max(refusal.retryAfterMs, pauseMs) * (0.5 + Math.random());
      if (!refusal.isWorthRepeating || performance.now() + waitMs > deadline) throw refusal;
      await pause(waitMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

/** Ends early when the signal is given, or the network is back. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer);
      removeEventListener("online", over);
      signal?.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    addEventListener("online", over);
    signal?.addEventListener("abort", over);
  });
}

/** The contract always answers it; the types of Protocol Buffers cannot say so. */
export function there<T>(answer: T | undefined): T {
  if (answer === undefined) throw new Error("the server's answer is empty");
  return answer;
}
