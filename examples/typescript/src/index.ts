// A client of Holdfast: holds, confirms and watches seats. `docs/CLIENTS.md` says what a
// client must do, and why; this does it.

export * from "./connection.js";
export * from "./errors.js";
export * from "./reservations.js";
export * from "./seat_stream.js";
export { CatalogService } from "./gen/holdfast/v1/catalog_pb.js";
export { PresenceService } from "./gen/holdfast/v1/presence_pb.js";
export { HoldState, ReservationService } from "./gen/holdfast/v1/reservation_pb.js";
export { SeatStatus } from "./gen/holdfast/v1/seat_pb.js";
