// Every bound, with its unit in its name.

/** Phones of this process; each costs a socket and a position, some 20 KB. */
export const MAX_PHONES = 20_000;
/** Events that are followed at a time, each by one stream. */
export const MAX_EVENTS = 500;
/** Changes that are kept for phones that come back or fall behind. */
export const RING_ENTRIES = 5_000;
/** Their bytes; whoever is further behind gets the whole house. */
export const RING_BYTES = 1024 * 1024;
/** How long a phone may take no byte of what waits for it, before it is cut off. */
export const STALLED_MS = 20_000;
/** Silence after which a phone is sent a comment: proxies cut what is silent. */
export const HEARTBEAT_MS = 10_000;
/** How long an event is still followed when its last phone has gone. */
export const LINGER_MS = 10_000;
/** How long a phone waits before it comes back, at least; up to three times as long. */
export const RETRY_MS = 1_000;
/** How often a phone is said to be present; the server forgets it after 30 s. */
export const PRESENCE_MS = 10_000;
/** Calls about presence in flight. */
export const PRESENCE_CALLS = 32;
/** How long phones have to take the end of their stream when this process stops. */
export const DRAIN_MS = 5_000;
